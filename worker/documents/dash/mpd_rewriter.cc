#include "worker/documents/dash/mpd_rewriter.h"

#include <algorithm>
#include <utility>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/dash/mpd_context.h"
#include "worker/documents/dash/xml_text.h"
#include "worker/links/path_link.h"
#include "worker/links/same_origin_query.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBaseBytes = size_t{16} * 1024;  // of a resolved BaseURL
constexpr size_t kMaxBases = 16;                     // one in the other; DASH has four levels

constexpr std::string_view kBlanks = " \t\r\n";

constexpr std::string_view kDirectory = ".";  // of the document

// Elements that put the query of the MPD's URL into other requests (ISO/IEC 23009-1 annex I).
bool takes_query(std::string_view name) {
  return name == "UrlQueryInfo" || name == "ExtUrlQueryInfo" || name == "ExtHttpHeaderInfo" ||
         name == "RequestParam" || name == "UrlParamInfo";
}

// The value of an attribute of the type xs:boolean.
bool is_true(std::string_view value) {
  value = trim_xml(value);
  return value == "true" || value == "1";
}

// Whether only the origin of the MPD may get the query. Headers have no place for marks.
bool is_for_one_origin(std::string_view name, const char** attributes) {
  const bool is_header = name == "ExtHttpHeaderInfo" || !value_of(attributes, "header").empty();
  return !is_header && is_true(value_of(attributes, "sameOriginOnly"));
}

}  // namespace

// --- the parser's events ---

void MpdRewriter::on_start(void* rewriter, const char* name, const char** attributes) {
  auto& self = *static_cast<MpdRewriter*>(rewriter);
  // Most elements of a live manifest are `S`.
  if (name[0] == 'S' && name[1] == '\0' && self.depth_ > 0) {
    ++self.depth_;
    return;
  }
  self.start_element(name, attributes);
}

void MpdRewriter::on_end(void* rewriter, const char*) {
  static_cast<MpdRewriter*>(rewriter)->end_element();
}

void MpdRewriter::on_text(void* rewriter, const char* text, int size) {
  auto& self = *static_cast<MpdRewriter*>(rewriter);
  if (self.depth_ != self.text_depth_) return;
  self.text_.append(text, static_cast<size_t>(size));
  if (self.text_.size() > kMaxTextBytes) self.fail("a URL is longer than 64 KiB");
}

void MpdRewriter::on_cdata(void* rewriter) {
  static_cast<MpdRewriter*>(rewriter)->is_in_cdata_ = true;
}

void MpdRewriter::on_cdata_end(void* rewriter) {
  static_cast<MpdRewriter*>(rewriter)->is_in_cdata_ = false;
}

// Entities of its own could make a small document large, or hide a URL.
void MpdRewriter::on_doctype(void* rewriter, const char*, const char*, const char*, int) {
  static_cast<MpdRewriter*>(rewriter)->fail("the document has a document type declaration");
}

void MpdRewriter::start_element(std::string_view name, const char** attributes) {
  if (++depth_ > kMaxDepth) return fail("the elements are nested too deeply");
  if (depth_ == 1) start_root(name, attributes);
  if (state_ == State::passing || text_element_ != nullptr) return;  // a URL has no elements
  const bool has_namespaces = depth_ == content_depth()
                                  ? namespaces_.start_outermost(name, attributes, depth_)
                                  : namespaces_.start_element(attributes, depth_);
  if (!has_namespaces) return fail("the document declares too many prefixes");
  if (depth_ == 1) return;
  if (depth_ < content_depth()) return start_operation(name, attributes);
  const std::string_view local = local_name(name);
  if (event_depth_ == 0 && takes_query(local)) return rewrite_query_info(local, attributes);
  if (!namespaces_.is_of_mpd(name) && !has_foreign_name(local)) return;
  if (depth_ == 2 && local == "Period") hold_for_base_url();
  const bool has_segments = local == "SegmentTimeline" || local == "SegmentList";
  if (has_segments && segments_depth_ == 0) segments_depth_ = depth_;
  const MpdElement& element = mpd_element(local);
  // The message of an event may be any XML.
  if (event_depth_ != 0 && element.place != UrlPlace::event) return;
  if (local == "Event") event_depth_ = depth_;
  rewrite_attributes(element, attributes);
  if (element.has_text) start_text(element, prefix_of(name));
}

void MpdRewriter::start_root(std::string_view name, const char** attributes) {
  if (wrapped_ != 0) return;
  if (local_name(name) != (kind_ == DocumentKind::mpd_patch ? "Patch" : "MPD")) {
    state_ = State::passing;
    XML_StopParser(parser_.get(), XML_FALSE);
    return;
  }
  // New cookies would change the links of a live manifest at each reload.
  const bool is_static = kind_ == DocumentKind::mpd && value_of(attributes, "type") != "dynamic";
  if (is_static) links_.carry_new_cookies();
}

void MpdRewriter::start_operation(std::string_view name, const char** attributes) {
  operation_ = patch_operation({local_name(name), value_of(attributes, "sel"),
                                value_of(attributes, "type"), value_of(attributes, "pos")});
  if (operation_.element != nullptr) start_text(*operation_.element, {});
}

void MpdRewriter::start_text(const MpdElement& element, std::string_view prefix) {
  text_element_ = &element;
  text_prefix_ = prefix;
  text_depth_ = depth_;
  text_begin_ = event_end();
  text_.clear();
  XML_SetCharacterDataHandler(parser_.get(), &MpdRewriter::on_text);
  if (!is_held_ || depth_ != 2) return;
  // Counts the bytes before it as copied: the result must not depend on the pieces.
  if (held_.size() + (event_begin() - copied_) > kMaxHeldBytes) return insert_base_url();
  base_url_tag_ = raw(event_begin(), event_end());
  replace(event_begin(), event_end(), {});
}

void MpdRewriter::end_element() {
  if (text_element_ != nullptr && depth_ == text_depth_) end_text();
  namespaces_.end_element(depth_);
  while (!bases_.empty() && bases_.back().depth == depth_) {
    bases_.pop_back();
    has_origin_link_ = false;
  }
  if (depth_ == segments_depth_) segments_depth_ = 0;
  if (depth_ == event_depth_) event_depth_ = 0;
  if (depth_ == 1 && kind_ == DocumentKind::mpd && event_end() > event_begin()) insert_base_url();
  --depth_;
}

void MpdRewriter::end_text() {
  XML_SetCharacterDataHandler(parser_.get(), nullptr);
  const MpdElement& element = *text_element_;
  text_element_ = nullptr;
  if (has_marks_) restore_bare_ampersands(text_);
  const std::string_view reference = trim_xml(text_);
  if (depth_ < content_depth()) return end_operation_text(element, reference);
  const bool is_base = element.place == UrlPlace::base_url;
  const bool is_of_root = is_base && level() == 2 && kind_ != DocumentKind::mpd_part;
  const MpdBase& from = is_base && !is_of_root ? base_above_siblings() : document_;
  link_.clear();
  const LinkRule rule = is_base && !is_of_root ? rule_for(from, reference) : LinkRule::all;
  const std::string note = note_for(element.kind);
  // An empty BaseURL of the MPD counts as none.
  const std::string_view target = is_of_root && reference.empty() ? kDirectory : reference;
  const bool has_link =
      !target.empty() && links_.append(from, {target, rule, element.kind, note}, link_);
  costly_bytes_ += has_link || is_base ? from.url.size() : 0;
  if (is_base) note_base(from, reference);
  std::string text;
  if (has_link) append_xml(link_, '\0', text);
  if (is_of_root && is_held_) return move_base_url(text);
  has_base_url_ = has_base_url_ || is_of_root;
  if (!has_link) return;
  if (event_begin() != event_end()) return replace(text_begin_, event_begin(), text);
  // `<BaseURL/>`: there is no end tag.
  constexpr size_t kEmptyTagEnd = 2;
  replace(text_begin_ - kEmptyTagEnd, text_begin_, ">" + text + "</" + text_prefix_ + "BaseURL>");
}

// The text of an operation that changes an attribute, or the text of an element.
void MpdRewriter::end_operation_text(const MpdElement& element, std::string_view reference) {
  link_.clear();
  if (reference.empty() || element.place == UrlPlace::descriptor) return;
  bool has_link = false;
  if (operation_.attribute.empty()) {
    const bool is_all = element.place != UrlPlace::base_url || operation_.level == 2;
    const LinkRule rule = is_all ? LinkRule::all : LinkRule::outside;
    const std::string note = note_for(element.kind);
    const MpdBase& from = is_all ? document_ : outer_;
    has_link = links_.append(from, {reference, rule, element.kind, note}, link_);
  } else {
    // The patch does not show the scheme of a clock.
    const bool is_url = ascii::istarts_with(reference, "http");
    const std::string_view scheme = is_url ? "urn:mpeg:dash:utc:http-iso:2014" : "";
    has_link = append_value(element, operation_.attribute, reference, scheme);
  }
  if (!has_link) return;
  costly_bytes_ += document_.url.size();
  std::string text;
  append_xml(link_, '\0', text);
  replace(text_begin_, event_begin(), text);
}

void MpdRewriter::note_base(const MpdBase& from, std::string_view reference) {
  MpdBase base = links_.base_below(from, reference);
  if (base.url.size() > kMaxBaseBytes) return fail("a BaseURL is longer than 16 KiB");
  has_origin_link_ = false;
  const bool has_sibling = !bases_.empty() && bases_.back().depth == depth_ - 1;
  if (has_sibling) return bases_.back().base.join(base);
  if (bases_.size() == kMaxBases) return fail("the BaseURLs are nested too deeply");
  bases_.push_back({depth_ - 1, std::move(base)});
}

// An EventStream may have a BaseURL of its own, for the URLs in its events.
const MpdBase& MpdRewriter::base_of_event() const {
  const bool has_own = !bases_.empty() && bases_.back().depth + 1 == event_depth_;
  return has_own ? base() : document_;
}

// The note of a link to a patch or a remote element that stands here; empty for others.
std::string MpdRewriter::note_for(LinkKind kind) const {
  if (kind != LinkKind::patch && kind != LinkKind::remote) return {};
  return write_mpd_context(document_.url, base().url);
}

// --- URLs ---

void MpdRewriter::rewrite_attributes(const MpdElement& element, const char** attributes) {
  bool has_urls = false;
  for (const char** at = attributes; *at != nullptr && !has_urls; at += 2) {
    has_urls = is_remote(at[0]) || has_url(element, at[0]);
  }
  if (!has_urls) return;
  const std::string_view scheme = value_of(attributes, "schemeIdUri");
  RawAttributes raw_attributes(raw(event_begin(), event_end()));
  RawAttributes::Attribute written;
  for (const char** at = attributes; *at != nullptr && raw_attributes.next(written); at += 2) {
    rewrite_attribute(element, at, written, scheme);
  }
}

// `parsed`: the name and the value without references.
void MpdRewriter::rewrite_attribute(const MpdElement& element, const char** parsed,
                                    const RawAttributes::Attribute& written,
                                    std::string_view scheme) {
  std::string restored(has_marks_ ? parsed[1] : "");
  restore_bare_ampersands(restored);
  const std::string_view value = trim_xml(has_marks_ ? std::string_view(restored) : parsed[1]);
  link_.clear();
  if (value.empty() || !append_value(element, parsed[0], value, scheme)) return;
  costly_bytes_ += base().url.size();
  std::string text;
  append_xml(link_, written.quote, text);
  const uint64_t at = position_of(written.value);
  replace(at, at + written.value.size(), text);
}

// Appends to link_ what takes the place of the attribute's value. False if the value stays.
bool MpdRewriter::append_value(const MpdElement& element, std::string_view name,
                               std::string_view value, std::string_view scheme) {
  if (is_remote(name)) {
    const std::string note = note_for(LinkKind::remote);
    return links_.append(document_, {value, LinkRule::all, LinkKind::remote, note}, link_);
  }
  if (!has_url(element, name)) return false;
  switch (element.place) {
    case UrlPlace::segment:
      return links_.append(base(), {value, rule_for(base(), value)}, link_);
    case UrlPlace::descriptor:
      if (name != "value") {
        return is_font_scheme(scheme) &&
               links_.append(base(), {value, rule_for(base(), value)}, link_);
      }
      [[fallthrough]];
    case UrlPlace::clock:
      return is_url_scheme(scheme) && append_list(value, link_);
    case UrlPlace::event:
      return links_.append(base_of_event(), {value, LinkRule::all, element.kind}, link_);
    default:
      return links_.append(document_, {value, LinkRule::all, element.kind}, link_);
  }
}

// The query that the player sees is that of our link. The upstream's takes its place.
void MpdRewriter::rewrite_query_info(std::string_view name, const char** attributes) {
  const bool is_of_mpd = is_true(value_of(attributes, "useMPDUrlQuery"));
  const std::string_view own = value_of(attributes, "queryString");
  std::string query(is_of_mpd ? split_uri(setting_->base_url).query : std::string_view());
  const bool is_empty = query.empty() && own.empty();
  const bool is_marked = !is_empty && is_for_one_origin(name, attributes);
  const MpdElement& element = mpd_element({});  // only xlink:href is a URL
  if (!is_marked && (!is_of_mpd || !setting_->own_carry.empty())) {
    return rewrite_attributes(element, attributes);
  }
  if (!query.empty() && !own.empty()) query += '&';
  Around around_template;
  if (is_marked) around_template = {mark_of_origin(), std::string(kSameOriginEnd)};
  Around around_query;
  // dash.js knows no other template than this one, and Shaka takes single values for others.
  const std::string_view whole = value_of(attributes, "queryTemplate");
  if (whole.empty() || whole == "$querypart$") std::swap(around_template, around_query);
  around_query.before += query;
  RawAttributes raw_attributes(raw(event_begin(), event_end()));
  RawAttributes::Attribute attribute;
  for (const char** at = attributes; *at != nullptr && raw_attributes.next(attribute); at += 2) {
    if (attribute.name == "queryString" && own.data() != nullptr) {
      put_around(attribute, around_query);
    } else if (attribute.name == "queryTemplate" && is_marked) {
      put_around(attribute, around_template);
    } else if (attribute.name == "useMPDUrlQuery" && is_of_mpd) {
      std::string text;
      append_xml(around_query.before + around_query.after, attribute.quote, text);
      const std::string quote(1, attribute.quote);
      const std::string more = quote + " queryString=" + quote + text;
      const uint64_t begin = position_of(attribute.value);
      replace(begin, begin + attribute.value.size(),
              "false" + (own.data() != nullptr ? std::string() : more));
    } else {
      rewrite_attribute(element, at, attribute, {});
    }
  }
}

void MpdRewriter::put_around(const RawAttributes::Attribute& attribute, const Around& texts) {
  const uint64_t at = position_of(attribute.value);
  std::string text;
  append_xml(texts.before, attribute.quote, text);
  replace(at, at, text);
  text.clear();
  append_xml(texts.after, attribute.quote, text);
  replace(at + attribute.value.size(), at + attribute.value.size(), text);
}

// The player sees one origin. What it may send only to that of the MPD is marked.
std::string MpdRewriter::mark_of_origin() const {
  const auto url = parse_http_url(document_.url);
  return same_origin_begin(url ? url->origin() : std::string());
}

// A list of URLs with blanks between them. A URL that stays is copied.
bool MpdRewriter::append_list(std::string_view list, std::string& out) {
  bool has_link = false;
  while (!list.empty()) {
    const std::string_view url = list.substr(0, list.find_first_of(kBlanks));
    list = trim_xml(list.substr(url.size()));
    if (!out.empty()) out += ' ';
    if (links_.append(document_, {url}, out)) {
      has_link = true;
    } else {
      out += url;
    }
  }
  return has_link;
}

// Output is held from the first Period on. By the order of the schema a BaseURL comes before it,
// but players also accept one after the Periods, and would then see ours first.
void MpdRewriter::hold_for_base_url() {
  if (kind_ != DocumentKind::mpd || has_base_url_ || is_held_) return;
  copy_until(event_begin());
  is_held_ = true;
}

// A BaseURL after the Periods moves before them. It is not copied to both places: video.js takes
// two equal ones for two variants, and plays none. `link`: empty if the URL stays.
void MpdRewriter::move_base_url(std::string_view link) {
  has_base_url_ = true;
  if (link.empty()) {
    release_held({});
    return replace(text_begin_, text_begin_, base_url_tag_);
  }
  std::string_view tag = base_url_tag_;
  if (tag.ends_with("/>")) tag.remove_suffix(2);
  if (tag.ends_with('>')) tag.remove_suffix(1);
  release_held(std::string(tag) + ">" + std::string(link) + "</" + text_prefix_ + "BaseURL>");
  replace(text_begin_, event_end(), {});
}

// Adds a BaseURL with the directory of the MPD, unless the MPD has a BaseURL of its own. A player
// that requested the MPD by the query form would resolve relative references against our own path.
void MpdRewriter::insert_base_url() {
  if (has_base_url_) return;
  has_base_url_ = true;
  link_.clear();
  std::string element;
  if (links_.append(document_, {kDirectory}, link_)) {
    const std::string name = std::string(namespaces_.outermost_prefix()) + "BaseURL>";
    element = "<" + name;
    append_xml(link_, '\0', element);
    element.append("</").append(name);
  }
  if (is_held_) return release_held(element);
  replace(event_begin(), event_begin(), element);
}

// Writes `inserted`, then the held output.
void MpdRewriter::release_held(std::string_view inserted) {
  is_held_ = false;
  out_->append(inserted);
  out_->append(held_);
  held_.clear();
}

// The BaseURL that is added, or takes the place of an empty one, names the directory, because
// ffmpeg appends a slash to any other. So a reference without a path would lose the name of the
// document.
LinkRule MpdRewriter::rule_for(const MpdBase& from, std::string_view reference) const {
  const bool has_no_path = reference.starts_with('?') || reference.starts_with('#');
  return has_no_path && from.url == outer_.url ? LinkRule::all : LinkRule::outside;
}

}  // namespace streamgate
