// Turns a reference in a document into the URL by which the player gets its target through us:
// `<proxy_origin><route_path>?url=<encoded absolute URL><parameters>`, or by a link of the path
// form (HlsConfig::ChildUrls::path).
//
// The same upstream URL always becomes the same text, because players compare URLs between reloads
// (RFC 8216bis 6.3.4).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "common/url.h"
#include "worker/links/child_template.h"
#include "worker/links/document_setting.h"
#include "worker/links/grant.h"
#include "worker/links/link_context.h"
#include "worker/links/path_link_writer.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {

// The format of a segment, for FFmpeg. From 7.1 on FFmpeg refuses a segment whose URL ends in an
// unknown extension. `none`: the child is not a segment.
enum class SegmentFormat { none, ts, mp4 };

// A reference of a document, and its attributes in the document.
struct ChildReference {
  std::string_view text;
  SegmentFormat format = SegmentFormat::none;
  const LinkContext* own = nullptr;  // values for this child alone; null: none
  bool is_channel = false;           // a line of a channel list, where a `|` may end the URL
};

class ChildUrlWriter {
 public:
  // First call for each document; memory of the document before is reused. `setting` must stay
  // unchanged until the last append().
  void begin(const DocumentSetting& setting);

  // Chooses the cookies of the following child URLs: only those of the document's link, as after
  // begin(), or also the new ones (DocumentSetting::has_new_cookies).
  enum class CarriedCookies { of_link, all };
  void carry(CarriedCookies cookies);

  // Appends the child URL of `reference`. False, with nothing appended, if the reference must stay
  // as it is: a scheme other than http(s), the empty reference, a URL without a host, a URL of
  // ours, and in the path form a relative reference that resolves to the right link by itself.
  //
  // The reference may be spelled as for a browser (upstream_url.h) or for Kodi (header_suffix.h).
  bool append(const ChildReference& reference, BlockBuffer& out);
  bool append(std::string_view reference, BlockBuffer& out) {
    return append(ChildReference{reference}, out);
  }

  bool is_path_form() const { return is_path_form_; }
  // True if append() certainly returns false: nearly all references of a playlist that was
  // requested by path. The text around such a reference can be copied in one piece.
  bool surely_stays(const ChildReference& reference) const {
    return is_path_form_ && reference.own == nullptr && path_links_.surely_stays(reference.text);
  }

  // Whether surely_stays() is true of each plain relative reference (path_link.h).
  bool keeps_plain_references() const {
    return is_path_form_ && path_links_.keeps_plain_references();
  }

  // The bytes of the references since begin() that had to be resolved, and 16 for each of them.
  size_t resolved_bytes() const { return resolved_bytes_; }

 private:
  struct Child;

  // The extension parameter that was needed last, such as `&sg_ext=.ts`.
  struct Extension {
    static constexpr size_t kDotAt = 8;

    // Whether `path` ends in an extension of the table. If so, `text` is set to that extension;
    // nearly always it has it already.
    template <class Table>
    bool take(std::string_view path, const Table& table);
    char* put(char* to) const;

    std::array<char, 16> text{};
    size_t size = 0;  // 0: none yet

    std::string_view with_dot() const { return {text.data() + kDotAt, size - kDotAt}; }
    // Whether `path` ends in the extension, in the same letter case.
    bool ends(std::string_view path) const;
  };

  bool append_sibling(std::string_view reference, BlockBuffer& out);
  bool append_directly(std::string_view reference, BlockBuffer& out);
  bool append_resolved(const ChildReference& reference, BlockBuffer& out);
  bool append_path_form(const ChildReference& reference, BlockBuffer& out);
  std::string_view parameters_with(const LinkContext& own);
  bool append_encoded(Child child, unsigned refused, BlockBuffer& out);
  void note_directory(const Child& child);
  void learn(const Child& child, std::string_view text);
  void fix_extension(size_t end, std::string_view reference);
  size_t bound_of(const Child& child) const;
  char* put_prefix(const Child& child, char* to) const;
  char* put_suffix(const Child& child, const char* start, char* to);
  char* put_segment_suffix(const Child& child, const char* start, char* to);
  std::string_view parameters_for(std::string_view absolute) const;
  std::string_view with_grant(std::string_view parameters, std::string_view absolute);
  std::string_view with_grant_of_directory(std::string_view parameters, std::string_view reference);
  std::string_view grant_scope() const { return grants_ ? grants_->scope() : std::string_view(); }
  std::string_view route() const { return std::string_view(absolute_prefix_).substr(0, name_at_); }
  bool is_ours(std::string_view reference) const;
  bool is_same_origin(std::string_view absolute) const;

  const DocumentSetting* setting_ = nullptr;
  UriParts base_;
  std::string_view same_origin_parameters_;
  std::string_view other_origin_parameters_;
  bool has_origin_ = false;  // our origin is known
  bool is_named_ = false;
  bool is_path_form_ = false;
  std::string directory_;  // of the base, with its slash
  std::string origin_;     // of the base, as written there: `https://cdn.example:8443`
  // `<proxy_origin><route_path>?url=`, then nothing, the base's encoded origin, or that and its
  // directory (with the last slash). ChildUrls::named inserts `/<name>` at name_at_.
  std::string absolute_prefix_;
  std::string origin_prefix_;
  std::string directory_prefix_;
  size_t name_at_ = 0;
  size_t route_name_at_ = 0;     // of `stream`
  Extension extension_;          // of children that are no segments
  Extension segment_extension_;  // of segments, for FFmpeg
  std::string last_directory_;   // of the last reference that append_directly() took
  // The directory of most references, as written in them, and the child URLs' common beginning.
  struct {
    std::string directory;  // with its slash; empty: none is known
    std::string prefix;
    size_t directory_at = 0;  // in the prefix
    std::string_view parameters;
    std::string granted_parameters;  // after `parameters`, if the links carry grants
  } siblings_;
  ChildTemplate template_;
  SegmentFormat template_format_ = SegmentFormat::none;
  SegmentFormat format_ = SegmentFormat::none;  // of the current reference
  size_t resolved_bytes_ = 0;
  // References that no template matched: the length of the last one, and how many in a row had it.
  size_t last_size_ = 0;
  int run_ = 0;
  std::string resolved_;  // scratch, like the next ones
  std::string spelling_;
  std::string tabless_;
  std::string own_parameters_;
  std::string granted_parameters_;
  std::optional<GrantWriter> grants_;  // the links carry grants
  PathLinkWriter path_links_;          // if is_path_form_
};

}  // namespace streamgate
