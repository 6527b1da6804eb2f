#include "worker/documents/hls/playlist_rewriter.h"

#include <algorithm>
#include <cstring>

#include "common/ascii.h"
#include "worker/documents/hls/attribute_list.h"
#include "worker/documents/hls/line_scan.h"
#include "worker/documents/hls/list_attributes.h"
#include "worker/documents/hls/list_headers.h"
#include "worker/documents/hls/playlist_header.h"
#include "worker/documents/hls/playlist_tags.h"
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

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Calls ascii::trim() only if there are blanks, which is rare.
std::string_view trimmed(std::string_view text) {
  const bool has_blanks = !text.empty() && (is_blank(text.front()) || is_blank(text.back()));
  return has_blanks ? ascii::trim(text) : text;
}

// Lists name the source of a channel behind its URL: `http://host/a.ts$Source 2`.
std::string_view without_label(std::string_view line) {
  const size_t dollar = line.rfind('$');
  if (dollar == line.npos || dollar == 0) return line;
  if (line[dollar - 1] == '{') return line;  // a variable (RFC 8216bis 4.3)
  const bool is_label = line.find_first_of("/?&=", dollar) == line.npos;
  return is_label ? line.substr(0, dollar) : line;
}

}  // namespace

// Copies a text of which a few pieces are replaced or left out, in order. The text between two
// pieces is appended in one go.
class PlaylistRewriter::PatchedCopy {
 public:
  PatchedCopy(std::string_view text, BlockBuffer& out)
      : copied_to_(text.data()), end_(text.data() + text.size()), out_(out) {}

  BlockBuffer& out() { return out_; }
  // Appends the text in front of `here`.
  void copy_until(const char* here) {
    out_.append({copied_to_, static_cast<size_t>(here - copied_to_)});
    copied_to_ = here;
  }
  void leave_out_until(const char* here) { copied_to_ = here; }
  void leave_out(const char* from, const char* to) {
    if (copied_to_ < from) copy_until(from);
    copied_to_ = to;
  }
  void copy_rest() { copy_until(end_); }

 private:
  const char* copied_to_;
  const char* end_;
  BlockBuffer& out_;
};

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
  unfinished_line_.clear();
  is_first_line_ = true;
  is_passing_long_line_ = drop_line_ = drop_next_lf_ = false;
  lines_too_long_ = 0;
  header_bytes_ = 0;
  has_grown_too_far_ = false;
}

// The hot loop: successive lines without URIs are scanned once and copied in one piece. Returns the
// size of all whole lines.
size_t PlaylistRewriter::rewrite_whole_lines(std::string_view text, BlockBuffer& out) {
  PatchedCopy copy(text, out);
  const char* const end = text.data() + text.size();
  const char* line = text.data();
  for (;;) {
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
    } else {
      rewrite_line(whole, copy);
      is_output_full_ = out.size() >= max_output_;
    }
    if (drop_line_) {
      copy.leave_out(line, line_end + 1);
      drop_next_lf_ = *line_end == '\r';
      drop_line_ = false;
    }
    line = line_end + 1;
    if (is_output_full_) break;
  }
  copy.copy_until(line);
  return static_cast<size_t>(line - text.data());
}

// `line` has no line end. Blanks at both ends are illegal but frequent; they are kept.
void PlaylistRewriter::rewrite_line(std::string_view line, PatchedCopy& copy) {
  if (line.size() > longest_line_) {
    is_first_line_ = false;
    ++lines_too_long_;
    return;
  }
  if (is_first_line_) line = without_junk(line, copy);
  line = trimmed(line);
  if (line.empty()) return;
  if (is_first_line_ && line.front() == '<') {
    drop_line_ = true;  // a message of PHP in front of the header
    return;
  }
  is_first_line_ = false;
  line_growth_ = 0;
  if (line.front() != '#') return rewrite_uri_line(line, copy);
  if (is_tag(line)) return rewrite_tag(line.substr(1), copy);
  take_list_header_of(line.substr(1));  // #KODIPROP, or a tag in lower case
}

// Players expect the header at the beginning of the document. Blanks in front of it stay.
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
  has_own_ = own_.referer || !own_.headers.empty();
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
  switch (rule) {
    case TagRule::no_uri:
      return;
    case TagRule::media:
      is_media_ = true;
      return;
    case TagRule::images:
      has_images_ = true;
      return;
    case TagRule::list_header:
      return take_list_header_of(tag);
    case TagRule::key:
      return rewrite_key(list, copy);
    case TagRule::date_range:
      return rewrite_date_range(list, copy);
    case TagRule::whole_value:
      return replace({list, segment_format()}, copy);
    case TagRule::drop_line:
      drop_line_ = true;
      return;
    case TagRule::map:
      has_map_ = true;
      return rewrite_uri_attributes(list, segment_format(), copy);
    case TagRule::part:
      return rewrite_uri_attributes(list, segment_format(), copy);
    case TagRule::hint:
      return rewrite_hint(list, copy);
    case TagRule::uri_attribute:
      return rewrite_uri_attributes(list, SegmentFormat::none, copy);
    case TagRule::any_uri_suffix:
      return rewrite_unknown_tag(name, list, copy);
  }
}

void PlaylistRewriter::rewrite_uri_attributes(std::string_view list, SegmentFormat format,
                                              PatchedCopy& copy) {
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name == "URI") replace({attribute.value, format}, copy);
  }
}

void PlaylistRewriter::rewrite_unknown_tag(std::string_view name, std::string_view list,
                                           PatchedCopy& copy) {
  // Free text may hold a colon too, but the name of a tag holds no blank or quote.
  if (ascii::find_any<' ', '\t', '"'>(name) != name.npos) return;
  if (list.find("URI") == list.npos) return;
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    const bool is_uri = attribute.name == "URI" || attribute.name.ends_with("-URI");
    if (is_uri) replace({attribute.value}, copy);
  }
}

// The URI of a hint must equal that of the later part or map (RFC 8216bis 4.4.5.3).
void PlaylistRewriter::rewrite_hint(std::string_view list, PatchedCopy& copy) {
  SegmentFormat format = segment_format();
  AttributeList checked(list);
  for (Attribute attribute; checked.next(attribute);) {
    if (format == SegmentFormat::none || attribute.name != "TYPE") continue;
    if (attribute.value == "MAP") format = SegmentFormat::mp4;
  }
  rewrite_uri_attributes(list, format, copy);
}

// If a DRM handles the key, the URI is an opaque name and not an address.
void PlaylistRewriter::rewrite_key(std::string_view list, PatchedCopy& copy) {
  AttributeList checked(list);
  for (Attribute attribute; checked.next(attribute);) {
    if (attribute.name == "METHOD" && attribute.value == "NONE") return;
    if (attribute.name == "KEYFORMAT" && attribute.value != "identity") return;
  }
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name == "URI") replace({attribute.value}, copy);
  }
}

// Interstitials (RFC 8216bis appendix D). An asset list is a JSON document of absolute URLs, which
// would lead the player past us, so X-ASSET-LIST is left out, together with one comma.
void PlaylistRewriter::rewrite_date_range(std::string_view list, PatchedCopy& copy) {
  bool x_uri_is_address = true;  // a later tag of the same range may omit CLASS
  AttributeList checked(list);
  for (Attribute attribute; checked.next(attribute);) {
    if (attribute.name != "CLASS") continue;
    x_uri_is_address = attribute.value == "com.apple.hls.preload";
  }
  const char* kept_to = nullptr;  // the end of the last attribute that stays
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    const char* const whole_end = attribute.whole.data() + attribute.whole.size();
    if (attribute.name != "X-ASSET-LIST") {
      const bool is_uri =
          attribute.name == "X-ASSET-URI" || (x_uri_is_address && attribute.name == "X-URI");
      if (is_uri) replace({attribute.value}, copy);
      kept_to = whole_end;
      continue;
    }
    if (kept_to != nullptr) {
      copy.leave_out(kept_to, whole_end);
      continue;
    }
    const std::string_view behind(whole_end,
                                  static_cast<size_t>(list.data() + list.size() - whole_end));
    const size_t next = behind.find_first_not_of(" \t,");
    copy.leave_out(attribute.whole.data(),
                   next == behind.npos ? list.data() + list.size() : behind.data() + next);
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
  count_growth(text.size());
}

void PlaylistRewriter::replace(ChildReference reference, PatchedCopy& copy) {
  reference.text = trimmed(reference.text);  // as players do; the blanks are kept
  replace_until(reference.text.data() + reference.text.size(), reference, copy);
}

// Replaces the text from the beginning of the reference to `end` by the child URL.
void PlaylistRewriter::replace_until(const char* end, const ChildReference& reference,
                                     PatchedCopy& copy) {
  if (reference.text.empty() || has_grown_too_far_) return;
  copy.copy_until(reference.text.data());
  const size_t before = copy.out().size();
  if (!children_.append(reference, copy.out())) return;
  copy.leave_out_until(end);
  // The reference itself, encoded, does not count: one long reference does not end a list.
  const size_t added = copy.out().size() - before;
  count_growth(added - std::min(added, kMaxEncodedByte * reference.text.size()));
}

void PlaylistRewriter::count_growth(size_t bytes) {
  line_growth_ += bytes;
  has_grown_too_far_ = line_growth_ > kMaxLineGrowth;
}

size_t PlaylistRewriter::write(std::string_view bytes, BlockBuffer& out, size_t max_output) {
  const size_t size = bytes.size();
  max_output_ = max_output;
  is_output_full_ = false;
  bytes = continue_line(bytes, out);
  if (bytes.empty() || is_output_full_) return size - bytes.size();
  bytes.remove_prefix(rewrite_whole_lines(bytes, out));
  if (is_output_full_) return size - bytes.size();
  keep(bytes, out);
  return size;
}

// Completes the line that an earlier write began. Returns the bytes behind it.
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
  if (unfinished_line_.empty()) return;
  PatchedCopy copy(unfinished_line_, out);
  rewrite_line(unfinished_line_, copy);
  if (!drop_line_) copy.copy_rest();
  unfinished_line_.clear();
}

}  // namespace streamgate
