// The URLs of a manifest, for the links of its patches and remote elements: their references belong
// to the manifest that they become a part of (ISO/IEC 23009-1 5.15 and 5.5), which may have another
// host and another directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace streamgate {

struct MpdContext {
  std::string document;  // of the manifest; a Location is resolved against it
  std::string base;      // of the references at the place of the patch or element

  bool operator==(const MpdContext&) const = default;
};

// The note of such a link (worker/links/parent_note.h). The queries are left out.
std::string write_mpd_context(std::string_view document, std::string_view base);

// From the value of sg_v of the document's own link; nullopt if that has none.
std::optional<MpdContext> read_mpd_context(std::string_view value);

}  // namespace streamgate
