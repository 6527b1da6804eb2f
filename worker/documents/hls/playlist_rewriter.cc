#include "worker/documents/hls/playlist_rewriter.h"

#include <algorithm>
#include <cstring>

#include "common/ascii.h"
#include "worker/documents/hls/attribute_list.h"
#include "worker/documents/hls/line_scan.h"
#include "worker/documents/hls/list_attributes.h"
#include "worker/documents/hls/list_headers.h"
#include "worker/documents/hls/patched_copy.h"
#include "worker/documents/hls/playlist_header.h"
#include "worker/documents/hls/playlist_tags.h"
#include "worker/documents/known_name.h"
#include "worker/links/header_suffix.h"

namespace streamgate {
namespace {

// Half of all lines are this tag, so it is worth a comparison of its own.
bool is_common_tag(std::string_view line) {
  return line.size() >= 8 && std::memcmp(line.data(), "#EXTINF:", 8) == 0;
}

bool is_tag(std::string_view line) {
  return line.size() >= 4 && std::memcmp(line.data(), "#EXT", 4) == 0;
}

// Bytes that the references of one line may grow by, besides their encoding.
constexpr size_t kMaxLineGrowth = size_t{256} * 1024;

constexpr size_t kMaxEncodedByte = 5;  // `"` becomes `%2522`

// A multivariant playlist whose variants are filtered is rewritten in one go.
constexpr size_t kMaxFilteredOutput = size_t{16} * 1024 * 1024;

// Of a multivariant playlist, from the first of its own tags on, and of its output. It is rewritten
// in one go.
constexpr size_t kMaxHeldBytes = size_t{16} * 1024;
constexpr size_t kMaxHeldOutput = size_t{4} * 1024 * 1024;

// Text with its variables, and links in `data:` URIs, after which a write() ends: a line of a few
// bytes becomes up to 256 KiB.
constexpr size_t kMaxMadeBytes = size_t{64} * 1024;
// How many bytes of it take as long as one costly byte.
constexpr size_t kMadePerCostlyByte = 16;

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Calls ascii::trim() only if there are blanks, which is rare.
std::string_view trimmed(std::string_view text) {
  const bool has_blanks = !text.empty() && (is_blank(text.front()) || is_blank(text.back()));
  return has_blanks ? ascii::trim(text) : text;
}

// Lists name the source of a channel behind its URL: `http://host/a.ts$Source 2`. In
// `http://host/$a.ts` the dollar is a part of the name.
std::string_view without_label(std::string_view line) {
  const size_t dollar = line.rfind('$');
  if (dollar == line.npos || dollar == 0) return line;
  if (line[dollar - 1] == '{') return line;  // a variable (RFC 8216bis 4.3)
  if (line.find_first_of("/?&=", dollar) != line.npos) return line;
  const std::string_view url = line.substr(0, dollar);
  return has_known_name(line) && !has_known_name(url) ? line : url;
}

// The value of a `File1=http://host/a` of a PLS list, with blanks around it; empty for its other
// lines.
std::string_view file_of(std::string_view line) {
  constexpr std::string_view kName = "File";
  if (!ascii::istarts_with(line, kName)) return {};
  const size_t equals = std::min(line.find('='), line.size());
  const auto number = ascii::trim(line.substr(kName.size(), equals - kName.size()));
  if (!ascii::parse_uint(number)) return {};
  return line.substr(std::min(equals + 1, line.size()));
}

}  // namespace

void PlaylistRewriter::begin(const DocumentSetting& setting) {
  children_.begin(setting);
  is_kind_open_ = setting.has_new_cookies;
  // A channel list has no #EXT-X- tag.
  if (is_kind_open_) children_.carry(ChildUrlWriter::CarriedCookies::all);
  longest_line_ = setting.longest_line;
  rewrite_attributes_ = setting.list_attributes;
  longest_plain_tag_ = rewrite_attributes_ ? 0 : longest_line_;
  if (has_own_) own_ = {};
  has_hls_tag_ = is_media_ = has_images_ = has_map_ = has_own_ = false;
  setting_ = &setting;
  if (!variables_.empty()) variables_.clear();
  imported_.reset();
  query_.reset();
  variables_text_.clear();
  is_plain_ = !setting.segments_are_direct;
  filter_.begin({setting.max_height, setting.max_bandwidth});
  may_hold_ = true;
  is_holding_ = false;
  held_.clear();
  unfinished_line_.clear();
  is_first_line_ = kind_ == DocumentKind::hls;  // nothing is left out of a PLS list
  is_passing_long_line_ = has_messages_ = drop_line_ = drop_next_lf_ = false;
  lines_too_long_ = 0;
  header_bytes_ = made_bytes_ = 0;
  has_grown_too_far_ = false;
}

size_t PlaylistRewriter::costly_bytes() const {
  return header_bytes_ + children_.resolved_bytes() + made_bytes_ / kMadePerCostlyByte;
}

// The hot loop: successive lines without URIs are scanned once and copied in one piece. Returns the
// size of all whole lines.
size_t PlaylistRewriter::rewrite_whole_lines(std::string_view text, BlockBuffer& out) {
  PatchedCopy copy(text, out);
  const char* const end = text.data() + text.size();
  const char* line = text.data();
  for (;;) {
    // Half of the lines of a playlist that was requested by path.
    const char* const next = may_skip_uris() ? skip_plain_uri(line, end) : nullptr;
    if (next != nullptr && static_cast<size_t>(next - line) <= longest_line_) {
      line = next;
      continue;
    }
    const char* line_end = find_line_end(line, end);
    if (line_end == end) break;
    if (drop_next_lf_) {
      drop_next_lf_ = false;
      if (line_end == line && *line == '\n') {
        copy.leave_out(line, line + 1);
        ++line;
        continue;
      }
    }
    const std::string_view whole(line, static_cast<size_t>(line_end - line));
    if (is_common_tag(whole) && whole.size() <= longest_plain_tag_) {
      is_first_line_ = false;
    } else if (may_hold_ && begins_variants(whole)) {
      is_holding_ = true;
      break;
    } else {
      rewrite_line(whole, copy);
      is_output_full_ = out.size() >= max_output_;
    }
    if (drop_line_) leave_out_line(line, line_end, copy);
    line = line_end + 1;
    if (is_output_full_) break;
  }
  copy.copy_until(line);
  return static_cast<size_t>(line - text.data());
}

void PlaylistRewriter::leave_out_line(const char* line, const char* line_end, PatchedCopy& copy) {
  copy.leave_out(line, line_end + 1);
  drop_next_lf_ = *line_end == '\r';
  drop_line_ = false;
}

bool PlaylistRewriter::begins_variants(std::string_view line) const {
  if (line.empty() || line.size() > longest_line_) return false;
  if (line.front() != '#') line = trimmed(line);
  if (!line.starts_with("#EXT-X-")) return false;
  return is_multivariant_tag(line.substr(1, ascii::find_any<':'>(line) - 1));
}

// A plain URI of a playlist that was requested by path stays, unless a tag before it or the
// settings require a change.
bool PlaylistRewriter::may_skip_uris() const {
  return has_hls_tag_ && is_plain_ && !has_own_ && !drop_next_lf_ &&
         children_.keeps_plain_references();
}

// `line` has no line end. Blanks at both ends are illegal but frequent; they are kept.
void PlaylistRewriter::rewrite_line(std::string_view line, PatchedCopy& copy) {
  if (line.size() > longest_line_) {
    is_first_line_ = false;
    ++lines_too_long_;
    return;
  }
  if (kind_ == DocumentKind::pls) line = file_of(ascii::trim(line));
  if (is_first_line_) line = without_junk(line, copy);
  line = trimmed(line);
  if (line.empty()) return;
  if (is_first_line_ && is_message(line)) {
    has_messages_ = drop_line_ = true;
    return;
  }
  is_first_line_ = false;
  line_growth_ = 0;
  if (line.front() != '#') return rewrite_uri_line(line, copy);
  if (is_tag(line)) return rewrite_tag(line.substr(1), copy);
  take_list_header_of(line.substr(1));  // #KODIPROP, or a tag in lower case
}

// Messages of PHP begin with HTML, and may have several lines. The header comes after them.
bool PlaylistRewriter::is_message(std::string_view line) const {
  return line.front() == '<' || (has_messages_ && !line.starts_with(kPlaylistHeader));
}

// Players expect the header at the beginning of the document. Blanks before it stay.
std::string_view PlaylistRewriter::without_junk(std::string_view line, PatchedCopy& copy) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  size_t junk = find_playlist_header(line);
  if (junk == line.npos) junk = line.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  if (junk > 0 && ascii::trim(line.substr(0, junk)).empty()) return line;
  if (junk > 0) copy.leave_out(line.data(), line.data() + junk);
  return line.substr(junk);
}

void PlaylistRewriter::rewrite_uri_line(std::string_view line, PatchedCopy& copy) {
  ChildReference reference{line, segment_format()};
  const char* const end = line.data() + line.size();
  if (!has_hls_tag_) {
    reference.is_channel = true;
    reference.text = trimmed(without_label(line));
    const std::string_view url = cut_header_suffix(reference.text, own_);
    if (url.size() < reference.text.size()) {
      reference.text = without_label(trimmed(url));
      has_own_ = true;
    }
  }
  if (!has_own_) return replace_until(end, reference, copy);
  header_bytes_ += line.size();
  reference.own = &own_;
  replace_until(end, reference, copy);
  own_ = {};
  has_own_ = false;
}

void PlaylistRewriter::take_list_header_of(std::string_view tag) {
  header_bytes_ += tag.size();
  take_list_header_tag(tag, own_);
  has_own_ = own_.has_own_values();
}

// The format of a segment at this place, for FFmpeg.
SegmentFormat PlaylistRewriter::segment_format() const {
  if (!is_media_ || has_images_) return SegmentFormat::none;
  return has_map_ ? SegmentFormat::mp4 : SegmentFormat::ts;
}

// A multivariant playlist, a VOD playlist and a channel list are fetched once, so their children
// carry the new cookies. A live playlist is not: new cookies would change all its links at each
// reload.
void PlaylistRewriter::note_kind(std::string_view name, std::string_view value) {
  if (!name.starts_with("EXT-X-")) return;
  const bool is_static =
      is_multivariant_tag(name) || (name == "EXT-X-PLAYLIST-TYPE" && ascii::trim(value) == "VOD");
  is_kind_open_ = !is_static;
  children_.carry(is_static ? ChildUrlWriter::CarriedCookies::all
                            : ChildUrlWriter::CarriedCookies::of_link);
}

void PlaylistRewriter::note_media() {
  is_media_ = true;
  may_hold_ = false;
}

void PlaylistRewriter::rewrite_tag(std::string_view tag, PatchedCopy& copy) {
  if (rewrite_attributes_ && (tag.starts_with("EXTINF:") || tag.starts_with("EXTM3U"))) {
    return rewrite_list_attributes(tag, copy);
  }
  if (!has_hls_tag_) has_hls_tag_ = tag.starts_with("EXT-X-");
  const size_t colon = tag.find(':');
  const std::string_view name = tag.substr(0, colon);
  const std::string_view list = colon == tag.npos ? std::string_view() : tag.substr(colon + 1);
  if (is_kind_open_) note_kind(name, list);
  const TagRule rule = tag_rule(name);
  if (rule == TagRule::media) note_media();
  has_images_ = has_images_ || rule == TagRule::images;
  has_map_ = has_map_ || rule == TagRule::map;
  if (rule == TagRule::list_header) return take_list_header_of(tag);
  rewrite_uris_of_tag(rule, name, list, copy);
}

void PlaylistRewriter::rewrite_uris_of_tag(TagRule rule, std::string_view name,
                                           std::string_view list, PatchedCopy& copy) {
  switch (rule) {
    case TagRule::no_uri:
    case TagRule::media:
    case TagRule::images:
    case TagRule::list_header:
      return;
    case TagRule::key:
      return rewrite_key(list, copy);
    case TagRule::date_range:
      return rewrite_date_range(list, copy);
    case TagRule::whole_value:
      return replace({list, segment_format()}, copy);
    case TagRule::define:
      return rewrite_define(list, copy);
    case TagRule::map:
    case TagRule::part:
      return rewrite_uri_attributes(list, {{}, segment_format()}, copy);
    case TagRule::hint:
      return rewrite_hint(list, copy);
    case TagRule::report:
      return rewrite_uri_of_playlist(list, setting_->variables, copy);
    case TagRule::rendition:
      return rewrite_uri_of_playlist(list, variables_text(), copy);
    case TagRule::variant:
      own_.variables = variables_text();
      has_own_ = has_own_ || !own_.variables.empty();
      return rewrite_unknown_tag(name, list, copy);
    case TagRule::steering:
      return rewrite_steering(list, copy);
    case TagRule::session_data:
      return rewrite_session_data(list, copy);
    case TagRule::any_uri_suffix:
      return rewrite_unknown_tag(name, list, copy);
  }
}

// The attributes of a channel that hold URLs (hls.list_attributes).
void PlaylistRewriter::rewrite_list_attributes(std::string_view tag, PatchedCopy& copy) {
  ListAttributes attributes(tag);
  for (ListAttributes::Url url; attributes.next(url);) {
    if (url.has_placeholders) {
      rewrite_catchup(url.text, copy);
    } else {
      replace({url.text}, copy);
    }
  }
}

// The player replaces the placeholders of a catchup-source. A source that begins with `?` is
// appended to the URL of the channel, which is now our link: in the query form it has a query.
void PlaylistRewriter::rewrite_catchup(std::string_view source, PatchedCopy& copy) {
  if (has_grown_too_far_) return;
  const LinkForm form = children_.is_path_form() ? LinkForm::path : LinkForm::query;
  if (source.front() == '?') {
    if (form == LinkForm::path) return;
    copy.copy_until(source.data());
    copy.out().append("&");
    return copy.leave_out_until(source.data() + 1);
  }
  const bool is_url =
      ascii::istarts_with(source, "http://") || ascii::istarts_with(source, "https://");
  BlockBuffer child;
  if (!is_url || !children_.append(source, child)) return;
  const std::string text = with_raw_placeholders(child.text(), form);
  copy.copy_until(source.data());
  copy.out().append(text);
  copy.leave_out_until(source.data() + source.size());
  count_growth(text.size(), 0);
}

void PlaylistRewriter::replace(ChildReference reference, PatchedCopy& copy) {
  reference.text = trimmed(reference.text);  // as players do; the blanks are kept
  replace_until(reference.text.data() + reference.text.size(), reference, copy);
}

// Replaces the text from the beginning of the reference to `end` by the child URL.
void PlaylistRewriter::replace_until(const char* end, const ChildReference& reference,
                                     PatchedCopy& copy) {
  if (reference.text.empty() || has_grown_too_far_) return;
  if (is_plain_ && children_.surely_stays(reference)) return;
  copy.copy_until(reference.text.data());
  const size_t before = copy.out().size();
  const bool is_replaced =
      is_plain_ ? children_.append(reference, copy.out()) : append_child(reference, copy.out());
  if (!is_replaced) return;
  copy.leave_out_until(end);
  count_growth(copy.out().size() - before, reference.text.size());
}

// The replaced text itself, encoded, does not count: one long reference does not end a list.
void PlaylistRewriter::count_growth(size_t bytes, size_t replaced) {
  line_growth_ += bytes - std::min(bytes, kMaxEncodedByte * replaced);
  if (line_growth_ > kMaxLineGrowth) has_grown_too_far_ = true;
}

size_t PlaylistRewriter::write(std::string_view bytes, BlockBuffer& out, size_t max_output) {
  if (filter_.is_on()) {
    write_whole(filter_.add(bytes), out, kMaxFilteredOutput);
    return bytes.size();
  }
  return is_holding_ ? hold(bytes, out, max_output) : write_lines(bytes, out, max_output);
}

// A longer text goes on without its later definitions.
size_t PlaylistRewriter::hold(std::string_view bytes, BlockBuffer& out, size_t max_output) {
  if (held_.size() + bytes.size() <= kMaxHeldBytes) {
    held_.append(bytes);
    return bytes.size();
  }
  release_held(out);
  return write_lines(bytes, out, max_output);
}

void PlaylistRewriter::release_held(BlockBuffer& out) {
  may_hold_ = is_holding_ = false;
  write_whole(held_, out, kMaxHeldOutput);
  held_.clear();
}

// The text that has been held back.
void PlaylistRewriter::write_whole(std::string_view text, BlockBuffer& out, size_t max_growth) {
  const size_t max_output = out.size() + max_growth;
  const size_t most_made = made_bytes_ + kMaxMadeOfWhole;
  while (!text.empty() && !has_grown_too_far_) {
    text.remove_prefix(write_lines(text, out, max_output));
    const bool is_too_long = out.size() >= max_output || made_bytes_ >= most_made;
    if (is_too_long && !text.empty()) has_grown_too_far_ = true;
  }
}

size_t PlaylistRewriter::write_lines(std::string_view bytes, BlockBuffer& out, size_t max_output) {
  const size_t size = bytes.size();
  max_output_ = max_output;
  most_made_ = made_bytes_ + kMaxMadeBytes;
  is_output_full_ = false;
  bytes = continue_line(bytes, out);
  if (bytes.empty() || is_output_full_) return size - bytes.size();
  if (!is_holding_) bytes.remove_prefix(rewrite_whole_lines(bytes, out));
  if (is_output_full_) return size - bytes.size();
  if (is_holding_) return size - bytes.size() + hold(bytes, out, max_output);
  keep(bytes, out);
  return size;
}

// Completes the line that an earlier write began. Returns the bytes after it.
std::string_view PlaylistRewriter::continue_line(std::string_view bytes, BlockBuffer& out) {
  if (!is_passing_long_line_ && unfinished_line_.empty()) return bytes;
  const char* const end = bytes.data() + bytes.size();
  const char* const line_end = find_line_end(bytes.data(), end);
  const std::string_view more =
      bytes.substr(0, static_cast<size_t>(line_end - bytes.data()) + (line_end == end ? 0 : 1));
  if (is_passing_long_line_) {
    out.append(more);
    is_passing_long_line_ = line_end == end;
  } else if (line_end == end) {
    keep(more, out);
  } else {
    unfinished_line_.append(more);
    rewrite_whole_lines(unfinished_line_, out);
    if (is_holding_) held_ = unfinished_line_;
    unfinished_line_.clear();
  }
  return bytes.substr(more.size());
}

// Keeps the line that the end of a piece cuts in two. Only such bytes are copied twice.
void PlaylistRewriter::keep(std::string_view unfinished, BlockBuffer& out) {
  if (unfinished_line_.size() + unfinished.size() <= longest_line_) {
    unfinished_line_.append(unfinished);
    return;
  }
  out.append(unfinished_line_);
  out.append(unfinished);
  unfinished_line_.clear();
  is_passing_long_line_ = true;
  is_first_line_ = drop_next_lf_ = false;
  ++lines_too_long_;
}

void PlaylistRewriter::finish(BlockBuffer& out) {
  if (filter_.is_on()) write_whole(filter_.end(), out, kMaxFilteredOutput);
  if (is_holding_) {
    define_ahead(held_);
    release_held(out);
  }
  if (unfinished_line_.empty()) return;
  PatchedCopy copy(unfinished_line_, out);
  rewrite_line(unfinished_line_, copy);
  if (!drop_line_) copy.copy_rest();
  unfinished_line_.clear();
}

}  // namespace streamgate
