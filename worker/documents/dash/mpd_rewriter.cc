#include "worker/documents/dash/mpd_rewriter.h"

#include <algorithm>
#include <utility>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/dash/timeline_run.h"
#include "worker/documents/dash/xml_text.h"
#include "worker/links/path_link.h"

namespace streamgate {
namespace {

// The parser gets at most this much at a time, because the output of one piece has a limit.
constexpr size_t kPieceBytes = size_t{4} * 1024;
// Bytes that the links of one piece may grow by.
constexpr size_t kMaxGrowth = size_t{256} * 1024;
// Bytes of links after which a call ends: making them takes much longer than reading.
constexpr size_t kMaxCostlyBytes = size_t{8} * 1024;
constexpr size_t kMaxTagBytes = size_t{256} * 1024;
constexpr size_t kMaxTextBytes = size_t{64} * 1024;  // of an element with a URL
constexpr size_t kMaxBaseBytes = size_t{16} * 1024;  // of a resolved BaseURL
constexpr size_t kMaxBases = 16;                     // one in the other; DASH has four levels
constexpr size_t kMaxPrologBytes = 1024;             // of the XML declaration
constexpr size_t kMaxDepth = 256;

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view local_name(std::string_view name) { return name.substr(name.find(':') + 1); }

std::string_view value_of(const char** attributes, std::string_view name) {
  for (; *attributes != nullptr; attributes += 2) {
    if (attributes[0] == name) return attributes[1];
  }
  return {};
}

bool has_url(const MpdElement& element, std::string_view attribute) {
  return std::find(std::begin(element.attributes), std::end(element.attributes), attribute) !=
         std::end(element.attributes);
}

// Elements that put the query of the MPD's URL into other requests (ISO/IEC 23009-1 annex I).
bool takes_query(std::string_view name) {
  return name == "UrlQueryInfo" || name == "ExtUrlQueryInfo" || name == "ExtHttpHeaderInfo";
}

// A remote element: `xlink:href`.
bool is_remote(std::string_view attribute) { return attribute.ends_with(":href"); }

}  // namespace

void MpdRewriter::begin(const DocumentSetting& setting) {
  setting_ = &setting;
  links_.begin(setting);
  state_ = State::prolog;
  problem_ = nullptr;
  window_.clear();
  window_at_ = copied_ = handed_ = skipped_ = 0;
  wanted_ = 0;
  prefix_.clear();
  depth_ = 0;
  bases_.clear();
  document_ = {setting.base_url, directories_above(split_uri(setting.base_url).path)};
  has_base_url_ = false;
  timeline_depth_ = event_depth_ = 0;
  is_in_cdata_ = false;
  text_element_ = nullptr;
  growth_ = 0;
  has_grown_too_far_ = false;
  costly_bytes_ = 0;
}

size_t MpdRewriter::write(std::string_view bytes, BlockBuffer& out, size_t max_output) {
  out_ = &out;
  size_t taken = 0;
  const size_t costly_before = costly_bytes_;
  do {
    const std::string_view piece = bytes.substr(taken, kPieceBytes);
    taken += piece.size();
    if (state_ == State::passing) {
      out.append(piece);
      continue;
    }
    window_ += piece;
    if (state_ == State::prolog) take_prolog();
    if (state_ == State::parsing) feed(XmlParser::Part::more);
  } while (taken < bytes.size() && out.size() < max_output && problem_ == nullptr &&
           !has_grown_too_far_ && costly_bytes_ - costly_before < kMaxCostlyBytes);
  return taken;
}

void MpdRewriter::finish(BlockBuffer& out) {
  out_ = &out;
  if (state_ == State::prolog) begin_parser();
  if (state_ == State::parsing) feed(XmlParser::Part::last);
}

// Waits for the XML declaration. Blanks in front of it are an error in XML, but frequent, and the
// parsers of the players accept them.
void MpdRewriter::take_prolog() {
  std::string_view text = window_;
  if (text.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(text)) return;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const size_t blanks = std::min(text.find_first_not_of(kBlanks), text.size());
  if (blanks == text.size() && text.size() < kMaxPrologBytes) return;
  text.remove_prefix(blanks);
  constexpr std::string_view kDeclaration = "<?xml";
  const bool may_be_declared = text.size() < kDeclaration.size() ? kDeclaration.starts_with(text)
                                                                 : text.starts_with(kDeclaration);
  const bool is_whole = !may_be_declared || text.find("?>") != text.npos;
  if (is_whole || text.size() > kMaxPrologBytes) begin_parser();
}

void MpdRewriter::begin_parser() {
  state_ = State::parsing;
  std::string_view text = window_;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  handed_ = skipped_ = window_.size() - text.size();
  // UTF-16 has been converted; some servers also declare it for UTF-8. All other encodings have
  // the markup in ASCII.
  const std::string_view encoding = declared_encoding(text);
  const bool is_utf16 =
      ascii::istarts_with(encoding, "utf-16") || ascii::istarts_with(encoding, "utf16") ||
      ascii::istarts_with(encoding, "ucs-2") || ascii::istarts_with(encoding, "iso-10646");
  const bool is_utf8 = is_utf16 || encoding.empty() || ascii::istarts_with(encoding, "utf") ||
                       ascii::iequals(encoding, "us-ascii");
  parser_.begin(is_utf8 ? "UTF-8" : "ISO-8859-1");
  XML_SetUserData(parser_.get(), this);
  XML_SetElementHandler(parser_.get(), &MpdRewriter::on_start, &MpdRewriter::on_end);
  XML_SetCdataSectionHandler(parser_.get(), &MpdRewriter::on_cdata, &MpdRewriter::on_cdata_end);
  XML_SetStartDoctypeDeclHandler(parser_.get(), &MpdRewriter::on_doctype);
  if (!is_utf16) return;
  const auto at = static_cast<uint64_t>(encoding.data() - window_.data());
  replace(at, at + encoding.size(), "UTF-8");
}

// An unfinished tag is scanned again from its beginning, so it is not tried again before it has
// doubled: a long one that arrives in small pieces would take quadratic time.
void MpdRewriter::feed(XmlParser::Part part) {
  const bool is_last = part == XmlParser::Part::last;
  const uint64_t end = window_at_ + window_.size();
  if (!is_last && end - handed_ < wanted_) return;
  growth_ = 0;
  read_window(part);
  if (state_ == State::passing) {
    copy_until(end);
  } else if (problem_ == nullptr && !has_grown_too_far_) {
    const uint64_t parsed = is_last ? end : event_begin();
    wanted_ = handed_ - parsed;
    if (wanted_ > kMaxTagBytes) return fail("a tag is longer than 256 KiB");
    const uint64_t kept = text_element_ != nullptr ? parsed - text_begin_ : 0;
    if (kept > kMaxTextBytes) return fail("a URL is longer than 64 KiB");
    copy_until(parsed - kept);
  }
  forget_copied();
}

// The parser gets what is left in the window, but for runs of plain segments.
void MpdRewriter::read_window(XmlParser::Part part) {
  constexpr size_t kShortTag = 256;
  const auto left = [this] { return std::string_view(window_).substr(handed_ - window_at_); };
  bool has_read = false;
  while (timeline_depth_ != 0 && problem_ == nullptr && !has_grown_too_far_) {
    const size_t run = may_skip() ? timeline_run(left()) : 0;
    handed_ += run;
    skipped_ += run;
    if (has_read && run == 0) break;
    const size_t end = left().find('>');
    if (end == left().npos) {
      // The beginning of a segment, probably.
      if (part == XmlParser::Part::more && may_skip() && left().size() < kShortTag) return;
      break;
    }
    read(left().substr(0, end + 1), XmlParser::Part::more);
    has_read = true;
  }
  if (problem_ == nullptr && !has_grown_too_far_) read(left(), part);
}

// Between two pieces of markup.
bool MpdRewriter::may_skip() const {
  return !is_in_cdata_ && text_element_ == nullptr && event_begin() == handed_;
}

void MpdRewriter::read(std::string_view text, XmlParser::Part part) {
  handed_ += text.size();
  if (parser_.parse(text, part)) return;
  if (state_ == State::passing || has_grown_too_far_) return;
  if (problem_ == nullptr) fail("the document is not well-formed XML");
}

void MpdRewriter::fail(const char* problem) {
  problem_ = problem;
  XML_StopParser(parser_.get(), XML_FALSE);
}

// --- the parser's events ---

void MpdRewriter::on_start(void* rewriter, const char* name, const char** attributes) {
  auto& self = *static_cast<MpdRewriter*>(rewriter);
  // Most elements of a live manifest are `S`.
  if (name[0] == 'S' && name[1] == '\0') {
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
  if (depth_ == 1) return start_root(name, attributes);
  if (text_element_ != nullptr) return;  // a URL has no elements
  if (takes_query(local_name(name)) && setting_->own_carry.empty()) materialise_query(attributes);
  if (!is_of_mpd(name)) return;
  name.remove_prefix(prefix_.size());
  if (depth_ == 2 && !has_base_url_ && name == "Period") insert_base_url();
  if (name == "SegmentTimeline" && timeline_depth_ == 0) timeline_depth_ = depth_;
  const MpdElement& element = mpd_element(name);
  // The message of an event may be any XML.
  if (event_depth_ != 0 && element.place != UrlPlace::event) return;
  if (name == "Event") event_depth_ = depth_;
  rewrite_attributes(element, attributes);
  if (element.has_text) start_text(element);
}

void MpdRewriter::start_root(std::string_view name, const char** attributes) {
  if (local_name(name) != "MPD") {
    state_ = State::passing;
    XML_StopParser(parser_.get(), XML_FALSE);
    return;
  }
  prefix_ = name.substr(0, name.size() - local_name(name).size());
  // New cookies would change the links of a live manifest at each reload.
  if (value_of(attributes, "type") != "dynamic") links_.carry_new_cookies();
}

void MpdRewriter::start_text(const MpdElement& element) {
  text_element_ = &element;
  text_depth_ = depth_;
  text_begin_ = event_end();
  text_.clear();
  XML_SetCharacterDataHandler(parser_.get(), &MpdRewriter::on_text);
}

void MpdRewriter::end_element() {
  if (text_element_ != nullptr && depth_ == text_depth_) end_text();
  while (!bases_.empty() && bases_.back().depth == depth_) bases_.pop_back();
  if (depth_ == timeline_depth_) timeline_depth_ = 0;
  if (depth_ == event_depth_) event_depth_ = 0;
  if (depth_ == 1 && !has_base_url_ && event_end() > event_begin()) insert_base_url();
  --depth_;
}

void MpdRewriter::end_text() {
  XML_SetCharacterDataHandler(parser_.get(), nullptr);
  const MpdElement& element = *text_element_;
  text_element_ = nullptr;
  const std::string_view reference = trim_xml(text_);
  const bool is_base = element.place == UrlPlace::base_url;
  const bool is_of_root = is_base && depth_ == 2;
  has_base_url_ = has_base_url_ || is_of_root;
  const MpdBase& from = is_base ? base() : document_;
  link_.clear();
  const LinkRule rule = is_base && !is_of_root ? rule_for(reference) : LinkRule::all;
  const bool has_link =
      (!reference.empty() || is_of_root) && links_.append(from, reference, rule, link_);
  costly_bytes_ += has_link ? from.url.size() : 0;
  if (is_base) note_base(reference);
  if (!has_link) return;
  std::string text;
  append_xml(link_, '\0', text);
  if (event_begin() != event_end()) return replace(text_begin_, event_begin(), text);
  // `<BaseURL/>`: there is no end tag.
  constexpr size_t kEmptyTagEnd = 2;
  replace(text_begin_ - kEmptyTagEnd, text_begin_, ">" + text + "</" + prefix_ + "BaseURL>");
}

// The first BaseURL of an element is the one that its references belong to.
void MpdRewriter::note_base(std::string_view reference) {
  if (!bases_.empty() && bases_.back().depth == depth_ - 1) return;
  std::string url;
  resolve_reference(split_uri(base().url), reference, url);
  if (url.size() > kMaxBaseBytes) return fail("a BaseURL is longer than 16 KiB");
  if (bases_.size() == kMaxBases) return fail("the BaseURLs are nested too deeply");
  const size_t directories = directories_above(split_uri(url).path);
  bases_.push_back({depth_ - 1, {std::move(url), directories}});
}

// --- URLs ---

void MpdRewriter::rewrite_attributes(const MpdElement& element, const char** attributes) {
  bool has_urls = false;
  for (const char** at = attributes; *at != nullptr && !has_urls; at += 2) {
    has_urls = is_remote(at[0]) || has_url(element, at[0]);
  }
  if (!has_urls) return;
  const std::string_view scheme = value_of(attributes, "schemeIdUri");
  const uint64_t tag_at = event_begin();
  const std::string_view tag = raw(tag_at, event_end());
  RawAttributes raw_attributes(tag);
  RawAttributes::Attribute attribute;
  for (const char** at = attributes; *at != nullptr && raw_attributes.next(attribute); at += 2) {
    const std::string_view value = trim_xml(at[1]);
    link_.clear();
    if (value.empty() || !append_value(element, at[0], value, scheme)) continue;
    costly_bytes_ += base().url.size();
    std::string text;
    append_xml(link_, attribute.quote, text);
    const uint64_t value_at = tag_at + static_cast<uint64_t>(attribute.value.data() - tag.data());
    replace(value_at, value_at + attribute.value.size(), text);
  }
}

// Appends to link_ what takes the place of the attribute's value. False if the value stays.
bool MpdRewriter::append_value(const MpdElement& element, std::string_view name,
                               std::string_view value, std::string_view scheme) {
  if (is_remote(name)) return links_.append(document_, value, LinkRule::all, link_);
  if (!has_url(element, name)) return false;
  switch (element.place) {
    case UrlPlace::segment:
      return links_.append(base(), value, rule_for(value), link_);
    case UrlPlace::clock:
    case UrlPlace::descriptor:
      return is_url_scheme(scheme) && append_list(value, link_);
    default:
      return links_.append(document_, value, LinkRule::all, link_);
  }
}

// The query that the player sees is that of our link. The upstream's takes its place.
void MpdRewriter::materialise_query(const char** attributes) {
  if (value_of(attributes, "useMPDUrlQuery") != "true") return;
  const std::string query(split_uri(setting_->base_url).query);
  const std::string_view own = value_of(attributes, "queryString");
  const bool has_own = own.data() != nullptr;
  const uint64_t tag_at = event_begin();
  const std::string tag(raw(tag_at, event_end()));
  RawAttributes raw_attributes(tag);
  for (RawAttributes::Attribute attribute; raw_attributes.next(attribute);) {
    const uint64_t at = tag_at + static_cast<uint64_t>(attribute.value.data() - tag.data());
    std::string text;
    if (attribute.name == "queryString" && has_own) {
      append_xml(query + (query.empty() || own.empty() ? "" : "&"), attribute.quote, text);
      replace(at, at, text);
    } else if (attribute.name == "useMPDUrlQuery") {
      append_xml(query, attribute.quote, text);
      const std::string quote(1, attribute.quote);
      const std::string more = quote + " queryString=" + quote + text;
      replace(at, at + attribute.value.size(), "false" + (has_own ? std::string() : more));
    }
  }
}

// A list of URLs with blanks between them. A URL that stays is copied.
bool MpdRewriter::append_list(std::string_view list, std::string& out) {
  bool has_link = false;
  while (!list.empty()) {
    const std::string_view url = list.substr(0, list.find_first_of(kBlanks));
    list = trim_xml(list.substr(url.size()));
    if (!out.empty()) out += ' ';
    if (links_.append(document_, url, LinkRule::all, out)) {
      has_link = true;
    } else {
      out += url;
    }
  }
  return has_link;
}

// The directory of the MPD, in front of the first Period: players that asked for the query form
// would resolve relative references against our own path.
void MpdRewriter::insert_base_url() {
  has_base_url_ = true;
  link_.clear();
  if (!links_.append(document_, ".", LinkRule::all, link_)) return;
  std::string element = "<" + prefix_ + "BaseURL>";
  append_xml(link_, '\0', element);
  element += "</" + prefix_ + "BaseURL>";
  replace(event_begin(), event_begin(), element);
}

// The BaseURL that is added names the directory, because ffmpeg appends a slash to any other, so a
// reference without a path would lose the name of the document.
LinkRule MpdRewriter::rule_for(std::string_view reference) const {
  const bool has_no_path = reference.starts_with('?') || reference.starts_with('#');
  return bases_.empty() && has_no_path ? LinkRule::all : LinkRule::outside;
}

// --- positions ---

uint64_t MpdRewriter::event_begin() const {
  const XML_Index index = XML_GetCurrentByteIndex(parser_.get());
  return index < 0 ? skipped_ : static_cast<uint64_t>(index) + skipped_;
}

uint64_t MpdRewriter::event_end() const {
  return event_begin() + static_cast<uint64_t>(XML_GetCurrentByteCount(parser_.get()));
}

std::string_view MpdRewriter::raw(uint64_t from, uint64_t to) const {
  return std::string_view(window_).substr(from - window_at_, to - from);
}

void MpdRewriter::replace(uint64_t from, uint64_t to, std::string_view text) {
  copy_until(from);
  out_->append(text);
  copied_ = to;
  costly_bytes_ += text.size();
  growth_ += text.size() - std::min<uint64_t>(text.size(), to - from);
  if (growth_ <= kMaxGrowth) return;
  has_grown_too_far_ = true;
  XML_StopParser(parser_.get(), XML_FALSE);
}

void MpdRewriter::copy_until(uint64_t position) {
  if (position <= copied_) return;
  out_->append(raw(copied_, position));
  copied_ = position;
}

void MpdRewriter::forget_copied() {
  const auto size = static_cast<size_t>(copied_ - window_at_);
  window_.erase(0, size);
  window_at_ = copied_;
}

}  // namespace streamgate
