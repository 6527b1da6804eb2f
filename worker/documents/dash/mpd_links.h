// The links in an MPD. They have the path form, so that the references that stay relative, and the
// templates that a player completes, come back through us (worker/links/path_link.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/url.h"
#include "worker/links/document_setting.h"
#include "worker/links/grant.h"
#include "worker/links/link_context.h"
#include "worker/links/path_link_writer.h"

namespace streamgate {

// Which references become links.
enum class LinkRule {
  outside,  // those that would lead past us: absolute, rooted, `//host`, and `..` above the root
  all,      // relative ones too
};

// A URL of a document: which references become links, and what those lead to.
struct Reference {
  std::string_view text;
  LinkRule rule = LinkRule::all;
  LinkKind kind = LinkKind::any;
  std::string_view note = {};  // of the link (worker/documents/dash/mpd_context.h)
};

// The URL against which the references of an element are resolved. Several BaseURLs of one element
// are alternatives, of which the player chooses one, and those of the elements in it belong to each
// of them. A reference that would lead past us from any alternative becomes a link.
struct MpdBase {
  std::string url;                    // of the first alternative
  size_t directories = 0;             // of the flattest (directories_above() in path_link.h)
  bool has_equal_directories = true;  // all alternatives have as many
  bool has_one_origin = true;         // all alternatives

  // Adds an alternative.
  void join(const MpdBase& other);
};

class MpdLinks {
 public:
  // First call for each document; `setting` stays unchanged until the last link.
  void begin(const DocumentSetting& setting);
  // The links carry the new cookies of the document too (DocumentSetting::has_new_cookies).
  void carry_new_cookies();

  // Appends the link of `reference`, which the document resolves against `base`. A rooted reference
  // that leads to another host from each alternative becomes a relative one (`../../s.mp4`), not a
  // link to the first: the player may choose another, as ContentSteering tells it. False, with
  // nothing appended, if the reference stays: by the rule, or because it has another scheme than
  // http(s), has no host, is a link to us, or cannot be named by a link (append_path_link()).
  bool append(const MpdBase& base, const Reference& reference, std::string& out);

  // The base that a BaseURL makes of the one around it.
  MpdBase base_below(const MpdBase& base, std::string_view base_url);

  // Appends the link of `origin` (`https://cdn.example`; empty: that of `base`), without a slash at
  // its end: the text in place of the origin in all URLs of that origin without a query. False,
  // with nothing appended, if they have no such text.
  bool append_origin(const MpdBase& base, std::string_view origin, std::string& out);

 private:
  void begin_links();
  bool stays(const MpdBase& base, std::string_view reference) const;
  bool climbs(const MpdBase& base, std::string_view reference) const;
  std::string_view plain_spelling(const UriParts& base, std::string_view reference);
  bool is_ours(std::string_view reference) const;
  bool is_same_origin(std::string_view absolute);
  std::string_view parameters_of_child(const Reference& reference);
  bool append_link(const Reference& reference, std::string& out);

  const DocumentSetting* setting_ = nullptr;
  bool has_new_cookies_ = false;
  std::string origin_;  // of the document
  // Players may put the document's query into other requests (ISO/IEC 23009-1 annex I).
  bool has_token_ = false;
  PathLinkWriter links_;
  std::optional<GrantWriter> grants_;
  std::string parameters_;  // scratch, like the next ones
  std::string absolute_;
  std::string spelling_;
  std::string tabless_;
  std::string normal_;
};

}  // namespace streamgate
