// Rewrites an HLS playlist so that everything the player requests next comes back through us (RFC
// 8216bis 4; RFC 3986 5.2). Incremental and byte-preserving: at most one unfinished line is held,
// and every byte that is not part of a URI is copied unchanged. There are four exceptions: a
// playlist whose variants are limited is held (variant_filter.h), so is the rest of a short
// multivariant playlist, because a variable may be defined after its use; EXT-X-DEFINE gets the
// value of a query parameter, and text before `#EXTM3U` is left out. Of a PLS list, the `FileN=`
// are rewritten.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "worker/documents/document_kind.h"
#include "worker/documents/hls/attribute_list.h"
#include "worker/documents/hls/variables.h"
#include "worker/documents/hls/variant_filter.h"
#include "worker/documents/rewriter.h"
#include "worker/links/child_url.h"

namespace streamgate {

class PatchedCopy;
enum class TagRule;

class PlaylistRewriter final : public DocumentRewriter {
 public:
  // hls or pls.
  explicit PlaylistRewriter(DocumentKind kind = DocumentKind::hls) : kind_(kind) {}

  void begin(const DocumentSetting& setting) override;
  // Writes the lines that are complete by now, except those that the filter of variants holds.
  size_t write(std::string_view bytes, BlockBuffer& out, size_t max_output) override;
  // Writes the last line if it has no newline; none is added.
  void finish(BlockBuffer& out) override;

  bool has_grown_too_far() const override { return has_grown_too_far_; }
  uint64_t lines_too_long() const override { return lines_too_long_; }
  size_t costly_bytes() const override;
  size_t memory_bytes() const override {
    return unfinished_line_.capacity() + held_.capacity() + filter_.memory_bytes();
  }

 private:
  // Text with its variables, as long as it becomes: the maximum in a text that is held back and
  // then rewritten in one go.
  static constexpr size_t kMaxMadeOfWhole = size_t{4} * 1024 * 1024;

  size_t write_lines(std::string_view bytes, BlockBuffer& out, size_t max_output);
  void write_whole(std::string_view text, BlockBuffer& out, size_t max_growth);
  size_t rewrite_whole_lines(std::string_view text, BlockBuffer& out);
  void leave_out_line(const char* line, const char* line_end, PatchedCopy& copy);
  bool begins_variants(std::string_view line) const;
  size_t hold(std::string_view bytes, BlockBuffer& out, size_t max_output);
  void release_held(BlockBuffer& out);
  void define_ahead(std::string_view text);
  bool may_skip_uris() const;
  void rewrite_line(std::string_view line, PatchedCopy& copy);
  void note_kind(std::string_view name, std::string_view value);
  void note_media();
  void rewrite_tag(std::string_view tag, PatchedCopy& copy);
  void rewrite_uris_of_tag(TagRule rule, std::string_view name, std::string_view list,
                           PatchedCopy& copy);
  void rewrite_key(std::string_view list, PatchedCopy& copy);
  void rewrite_date_range(std::string_view list, PatchedCopy& copy);
  static std::string_view without_junk(std::string_view line, PatchedCopy& copy);
  bool is_message(std::string_view line) const;
  void rewrite_uri_line(std::string_view line, PatchedCopy& copy);
  void rewrite_hint(std::string_view list, PatchedCopy& copy);
  // Rewrites each URI attribute of `list` as a reference that is like `as`.
  void rewrite_uri_attributes(std::string_view list, ChildReference as, PatchedCopy& copy);
  void rewrite_uri_of_playlist(std::string_view list, const std::string& variables,
                               PatchedCopy& copy);
  void rewrite_define(std::string_view list, PatchedCopy& copy);
  void import(std::string_view name);
  void materialise(const Attribute& query_parameter, PatchedCopy& copy);
  void rewrite_steering(std::string_view list, PatchedCopy& copy);
  void replace_document(std::string_view uri, DocumentKind kind, PatchedCopy& copy);
  void rewrite_session_data(std::string_view list, PatchedCopy& copy);
  void rewrite_unknown_tag(std::string_view name, std::string_view list, PatchedCopy& copy);
  void rewrite_list_attributes(std::string_view tag, PatchedCopy& copy);
  void rewrite_catchup(std::string_view source, PatchedCopy& copy);
  void take_list_header_of(std::string_view tag);
  SegmentFormat segment_format() const;
  void define(std::string_view name, std::string_view value, std::string_view masked);
  const std::string& variables_text();
  std::string substituted(std::string_view value, Variables::Text which = Variables::Text::whole);
  void count_made(size_t bytes);
  std::optional<std::string> substitute(std::string_view text, Variables::Text which);
  bool is_moved_by_client(std::string_view masked, std::string_view whole) const;
  bool append_child(ChildReference reference, BlockBuffer& out);
  bool append_upstream_url(std::string_view reference, BlockBuffer& out);
  void replace(ChildReference reference, PatchedCopy& copy);
  void replace_until(const char* end, const ChildReference& reference, PatchedCopy& copy);
  void count_growth(size_t bytes, size_t replaced);
  std::string_view continue_line(std::string_view bytes, BlockBuffer& out);
  void keep(std::string_view unfinished, BlockBuffer& out);

  const DocumentSetting* setting_ = nullptr;
  ChildUrlWriter children_;
  VariantFilter filter_;
  Variables variables_;
  std::optional<QueryParameters> query_;  // of the document's URL; none: not read yet
  std::optional<Variables> imported_;     // of the document's link; none: not read yet
  std::string variables_text_;            // of variables_, for links; empty: not made yet
  LinkContext own_of_tag_;                // values for the URIs of the current tag
  // References need neither a substitution of variables nor the upstream's own URL.
  bool is_plain_ = true;
  // The kind of the playlist decides whether its children carry its new cookies. False if the kind
  // is known, or if there are no new cookies.
  bool is_kind_open_ = false;
  size_t longest_line_ = 0;
  size_t longest_plain_tag_ = 0;  // an #EXTINF up to this size is copied without parsing
  bool rewrite_attributes_ = false;
  bool has_hls_tag_ = false;  // an #EXT-X- tag came: the document is not a channel list
  bool is_media_ = false;     // a tag of media playlists came
  bool has_images_ = false;   // the segments are images
  bool has_map_ = false;      // an EXT-X-MAP came
  bool has_own_ = false;      // own_ is not empty
  LinkContext own_;           // headers for the next URI line
  bool may_hold_ = false;     // no tag came that only one kind of playlist has
  bool is_holding_ = false;   // one of multivariant playlists came; held_ is the text from it on
  std::string held_;
  std::string unfinished_line_;
  bool is_first_line_ = true;
  bool has_messages_ = false;  // of PHP, before the header
  bool is_passing_long_line_ = false;
  bool drop_line_ = false;     // the line that is being rewritten must not reach the player
  bool drop_next_lf_ = false;  // the CR of a dropped line may be the first half of a CRLF
  uint64_t lines_too_long_ = 0;
  size_t header_bytes_ = 0;      // of tags and suffixes with headers
  size_t made_bytes_ = 0;        // of texts with variables and links in `data:` URIs
  size_t most_made_ = 0;         // at the end of the current write()
  size_t max_output_ = 0;        // of the current write()
  bool is_output_full_ = false;  // it was reached
  size_t line_growth_ = 0;       // bytes of the links and variables in the current line
  bool has_grown_too_far_ = false;
  const DocumentKind kind_;
};

}  // namespace streamgate
