// The part of MpdRewriter that reads the document and writes the output; mpd_rewriter.cc has the
// rules for elements.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/url.h"
#include "worker/documents/dash/mpd_context.h"
#include "worker/documents/dash/mpd_rewriter.h"
#include "worker/documents/dash/segment_run.h"
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

// Remote elements may be several (ISO/IEC 23009-1 5.5.2), but the parser reads one root element.
constexpr std::string_view kWrapper = "<r>";
constexpr std::string_view kWrapperEnd = "</r>";

}  // namespace

void MpdRewriter::begin(const DocumentSetting& setting) {
  setting_ = &setting;
  links_.begin(setting);
  state_ = State::prolog;
  problem_ = nullptr;
  window_.clear();
  window_at_ = copied_ = handed_ = skipped_ = 0;
  wanted_ = 0;
  namespaces_.begin();
  wrapped_ = 0;
  is_held_ = false;
  held_.clear();
  operation_ = {};
  depth_ = 0;
  bases_.clear();
  take_context();
  has_base_url_ = false;
  segments_depth_ = event_depth_ = 0;
  has_origin_link_ = false;
  is_in_cdata_ = has_marks_ = false;
  text_element_ = nullptr;
  growth_ = 0;
  has_grown_too_far_ = false;
  costly_bytes_ = 0;
}

void MpdRewriter::take_context() {
  const auto at = [](std::string url) {
    const size_t directories = directories_above(split_uri(url).path);
    return MpdBase{std::move(url), directories, true, true};
  };
  outer_ = document_ = at(setting_->base_url);
  if (kind_ == DocumentKind::mpd) return;
  auto context = read_mpd_context(setting_->variables);
  if (!context) return;
  outer_ = at(std::move(context->base));
  // A remote element may lead to others, from its own URL.
  if (kind_ == DocumentKind::mpd_patch) document_ = at(std::move(context->document));
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

// Waits for the XML declaration.
void MpdRewriter::take_prolog() {
  std::string_view text = window_;
  if (text.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(text)) return;
  text = from_xml_begin(text);
  if (text.empty() && window_.size() < kMaxXmlDeclaration) return;
  constexpr std::string_view kDeclaration = "<?xml";
  const bool may_be_declared = text.size() < kDeclaration.size() ? kDeclaration.starts_with(text)
                                                                 : text.starts_with(kDeclaration);
  // No more bytes are searched, because the result must not depend on the pieces.
  const std::string_view begin = text.substr(0, kMaxXmlDeclaration);
  const bool is_whole = !may_be_declared || begin.find("?>") != begin.npos;
  if (is_whole || text.size() > kMaxXmlDeclaration) begin_parser();
}

void MpdRewriter::begin_parser() {
  state_ = State::parsing;
  const std::string_view text = from_xml_begin(window_);
  handed_ = skipped_ = window_.size() - text.size();
  const std::string_view encoding = declared_encoding(text.substr(0, kMaxXmlDeclaration));
  parser_.begin(parser_encoding(encoding));
  XML_SetUserData(parser_.get(), this);
  XML_SetElementHandler(parser_.get(), &MpdRewriter::on_start, &MpdRewriter::on_end);
  XML_SetCdataSectionHandler(parser_.get(), &MpdRewriter::on_cdata, &MpdRewriter::on_cdata_end);
  XML_SetStartDoctypeDeclHandler(parser_.get(), &MpdRewriter::on_doctype);
  if (is_utf16_encoding(encoding)) {
    const auto at = static_cast<uint64_t>(encoding.data() - window_.data());
    replace(at, at + encoding.size(), "UTF-8");
  }
  if (kind_ != DocumentKind::mpd_part) return;
  if (text.starts_with("<?xml")) {
    const size_t end = text.substr(0, kMaxXmlDeclaration).find("?>");
    if (end == text.npos) return fail("the document is not well-formed XML");
    handed_ = skipped_ += end + 2;
  }
  wrapped_ = kWrapper.size();
  CHECK(parser_.parse(kWrapper, XmlParser::Part::more));
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

// The parser gets the rest of the window, except runs of plain elements.
void MpdRewriter::read_window(XmlParser::Part part) {
  constexpr size_t kShortTag = 256;
  // In other documents there is a run after every few tags, or there are hardly any runs.
  constexpr size_t kMaxTags = 4;
  const auto left = [this] { return std::string_view(window_).substr(handed_ - window_at_); };
  size_t tags = 0;  // since the last run
  while (is_reading() && depth_ >= content_depth() && tags < kMaxTags) {
    if (may_skip() && skip_segments() > 0) tags = 0;
    const size_t end = left().find('>');
    if (end == left().npos) {
      // The beginning of a plain element, probably.
      if (part == XmlParser::Part::more && may_skip() && left().size() < kShortTag) return;
      break;
    }
    read(left().substr(0, end + 1), XmlParser::Part::more);
    ++tags;
  }
  if (is_reading()) read(left(), part);
}

// Whether the position is between two pieces of markup, where an element is allowed.
bool MpdRewriter::may_skip() const {
  return !is_in_cdata_ && text_element_ == nullptr && depth_ < kMaxDepth &&
         event_begin() == handed_;
}

// Reads the segments that come next without the parser. Returns their size.
size_t MpdRewriter::skip_segments() {
  const uint64_t begin = handed_;
  for (;;) {
    const std::string_view left = std::string_view(window_).substr(handed_ - window_at_);
    const size_t run = segment_run(left);
    handed_ += run;
    skipped_ += run;
    if (!link_outside_segment(left.substr(run))) return static_cast<size_t>(handed_ - begin);
  }
}

// Reads the absolute or rooted segment that `left` begins with, if it can be read so.
bool MpdRewriter::link_outside_segment(std::string_view left) {
  // The rules of start_element() for namespace and place.
  if (segments_depth_ == 0 || event_depth_ != 0 || !namespaces_.is_of_mpd({})) return false;
  const auto segment = outside_segment(left);
  if (!segment || has_grown_too_far_) return false;
  const std::string_view origin = left.substr(segment->origin_at, segment->origin_size);
  if (!has_origin_link_ || origin != linked_origin_) make_origin_link(origin);
  if (origin_link_.empty()) return false;
  const uint64_t at = handed_ + segment->origin_at;
  put(at, at + segment->origin_size, origin_link_);
  handed_ += segment->size;
  skipped_ += segment->size;
  return true;
}

void MpdRewriter::make_origin_link(std::string_view origin) {
  has_origin_link_ = true;
  linked_origin_ = origin;
  origin_link_.clear();
  const bool has_link = links_.append_origin(base(), origin, origin_link_);
  costly_bytes_ += has_link ? base().url.size() + origin_link_.size() : 0;
  if (origin_link_.find_first_of("&<\"'") != std::string::npos) origin_link_.clear();
}

void MpdRewriter::read(std::string_view text, XmlParser::Part part) {
  if (text.find('&') != text.npos) text = with_marked_ampersands(text, part);
  handed_ += text.size();
  if (wrapped_ != 0 && part == XmlParser::Part::last) {
    if (parser_.parse(text, XmlParser::Part::more) && parser_.parse(kWrapperEnd, part)) return;
  } else if (parser_.parse(text, part)) {
    return;
  }
  if (state_ == State::passing || has_grown_too_far_) return;
  if (problem_ == nullptr) fail("the document is not well-formed XML");
}

// As long as `text`, or shorter if its end is undecided. Valid until the next call.
std::string_view MpdRewriter::with_marked_ampersands(std::string_view text, XmlParser::Part part) {
  marked_ = text;
  const size_t decided = mark_bare_ampersands(marked_);
  has_marks_ = has_marks_ || marked_ != text;
  return part == XmlParser::Part::last ? marked_ : std::string_view(marked_).substr(0, decided);
}

void MpdRewriter::fail(const char* problem) {
  problem_ = problem;
  XML_StopParser(parser_.get(), XML_FALSE);
}

// --- positions and output ---

uint64_t MpdRewriter::event_begin() const {
  const XML_Index index = XML_GetCurrentByteIndex(parser_.get());
  const auto at = static_cast<uint64_t>(std::max<XML_Index>(index, 0));
  return at < wrapped_ ? skipped_ : at - wrapped_ + skipped_;
}

uint64_t MpdRewriter::event_end() const {
  return event_begin() + static_cast<uint64_t>(XML_GetCurrentByteCount(parser_.get()));
}

std::string_view MpdRewriter::raw(uint64_t from, uint64_t to) const {
  return std::string_view(window_).substr(from - window_at_, to - from);
}

uint64_t MpdRewriter::position_of(std::string_view raw_text) const {
  return window_at_ + static_cast<uint64_t>(raw_text.data() - window_.data());
}

void MpdRewriter::emit(std::string_view text) {
  if (!is_held_) return out_->append(text);
  held_ += text;
  // An open BaseURL may be the one that is waited for.
  if (held_.size() > kMaxHeldBytes && text_element_ == nullptr) insert_base_url();
}

void MpdRewriter::replace(uint64_t from, uint64_t to, std::string_view text) {
  costly_bytes_ += text.size();
  put(from, to, text);
}

void MpdRewriter::put(uint64_t from, uint64_t to, std::string_view text) {
  copy_until(from);
  emit(text);
  copied_ = to;
  growth_ += text.size() - std::min<uint64_t>(text.size(), to - from);
  if (growth_ <= kMaxGrowth) return;
  has_grown_too_far_ = true;
  XML_StopParser(parser_.get(), XML_FALSE);
}

void MpdRewriter::copy_until(uint64_t position) {
  if (position <= copied_) return;
  emit(raw(copied_, position));
  copied_ = position;
}

void MpdRewriter::forget_copied() {
  const auto size = static_cast<size_t>(copied_ - window_at_);
  window_.erase(0, size);
  window_at_ = copied_;
}

}  // namespace streamgate
