// Turns a reference found in a playlist into the URL at which the player gets it through us:
// `<proxy_origin><route_path>?url=<encoded absolute URL><parameters>`.
//
// The same upstream URL always becomes the same text, because players compare URLs between reloads
// (RFC 8216bis 6.3.4).
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "common/url.h"
#include "worker/links/child_template.h"
#include "worker/links/document_setting.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {

class ChildUrlWriter {
 public:
  // Makes it ready for the references of one playlist; memory of the one before is used again.
  // The strings of `setting` stay valid until the last append().
  void begin(const DocumentSetting& setting);

  // True if `reference` has to come through us: its child URL was appended. False if it must stay
  // as it is; nothing was appended then. Left alone are other schemes than http(s), the empty
  // reference, references that a player's EXT-X-DEFINE variables still change, URLs without a host,
  // and our own.
  bool append(std::string_view reference, BlockBuffer& out);

 private:
  struct Child;

  // `&sg_ext=.ts`, as it stood behind the last child URL that has one.
  struct Extension {
    static constexpr size_t kDotAt = 8;

    std::array<char, 16> text{};
    size_t size = 0;  // 0: there was none yet

    std::string_view with_dot() const { return {text.data() + kDotAt, size - kDotAt}; }
    // With the same letters: the other case is another text.
    bool ends(std::string_view path) const;
  };

  bool append_sibling(std::string_view reference, BlockBuffer& out);
  bool append_directly(std::string_view reference, BlockBuffer& out);
  bool append_resolved(std::string_view reference, BlockBuffer& out);
  bool append_encoded(Child child, unsigned refused, BlockBuffer& out);
  void note_directory(const Child& child);
  void learn(const Child& child, std::string_view text);
  void fix_extension(size_t end, std::string_view reference);
  size_t bound_of(const Child& child) const;
  char* put_prefix(const Child& child, char* to) const;
  char* put_suffix(const Child& child, const char* start, char* to);
  bool has_extension(std::string_view path);
  std::string_view parameters_for(std::string_view absolute) const;
  std::string_view route() const { return std::string_view(absolute_prefix_).substr(0, name_at_); }
  bool is_ours(std::string_view reference) const;
  bool is_same_origin(std::string_view absolute) const;

  UriParts base_;
  std::string_view same_origin_parameters_;
  std::string_view other_origin_parameters_;
  bool has_origin_ = false;  // ours is known
  bool is_named_ = false;
  std::string origin_;  // of the base, as it is spelled there: `https://cdn.example:8443`
  // `<proxy_origin><route_path>?url=`, then nothing, the base's encoded origin, or that and its
  // directory (with the last slash). name_at_ is where `/<name>` goes in for ChildUrls::named.
  std::string absolute_prefix_;
  std::string origin_prefix_;
  std::string directory_prefix_;
  size_t name_at_ = 0;
  Extension extension_;
  std::string last_directory_;  // of the last reference that append_directly() took
  // A directory, as references name it, and what all of them begin with behind our route.
  struct {
    std::string directory;  // with its slash; empty: none is known
    std::string prefix;
    size_t directory_at = 0;  // in the prefix
    std::string_view parameters;
  } siblings_;
  ChildTemplate template_;
  // References that had no template: the length of the last one, and how many in a row had it.
  size_t last_size_ = 0;
  int run_ = 0;
  std::string resolved_;  // scratch
};

}  // namespace streamgate
