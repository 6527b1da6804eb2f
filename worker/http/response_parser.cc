#include "worker/http/response_parser.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/check.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr size_t kMaxHeadBytes = size_t{128} * 1024;  // curl takes 300 KiB, Chromium 256 KiB
// Most heads are shorter. Bytes of a piece that turn out to belong to the body are copied
// needlessly.
constexpr size_t kHeadPieceBytes = size_t{1} * 1024;
constexpr size_t kMaxFields = 1000;
constexpr unsigned kMaxEmptyLines = 2;  // before each status line
constexpr unsigned kMaxInterimHeads = 8;
constexpr std::string_view kVersionPrefix = "HTTP/";
// SHOUTcast 1 answers `ICY 200 OK` where HTTP/1.0 has its version.
constexpr std::string_view kIcyPrefix = "ICY ";
constexpr size_t kDateSize = std::string_view("Tue, 12 Jun 2012 01:56:34 GMT").size();

Error bad_response(std::string_view detail) {
  return Error{Reason::bad_response, std::string(detail)};
}

// Whether one of the two texts is a prefix of the other, in any letter case.
bool has_common_begin(std::string_view a, std::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  return ascii::iequals(a.substr(0, common), b.substr(0, common));
}

// Other protocols (TLS, the frames of HTTP/2) fail at their first bytes instead of at a deadline.
bool may_become_status_line(std::string_view begun) {
  return begun == "\r" || has_common_begin(begun, kVersionPrefix) ||
         has_common_begin(begun, kIcyPrefix);
}

// One Content-Length value: digits, below 2^63. All elements of a list must be equal (RFC
// 9112 6.3).
std::optional<uint64_t> parse_content_length(std::string_view value) {
  std::optional<uint64_t> length;
  while (true) {
    const size_t comma = value.find(',');
    const auto element = ascii::parse_uint(ascii::trim(value.substr(0, comma)));
    if (!element || *element > uint64_t{std::numeric_limits<int64_t>::max()}) return std::nullopt;
    if (length && *length != *element) return std::nullopt;
    length = element;
    if (comma == std::string_view::npos) return length;
    value.remove_prefix(comma + 1);
  }
}

// The text before the status code, with the blanks after it.
struct Version {
  size_t size = 0;
  int minor = 0;  // 0 also for versions before HTTP/1.0, 1 also for later ones
  bool is_usual = false;
};

// `HTTP/1.1 `. Players also take another version, letter case, and several blanks.
std::optional<Version> parse_version(std::string_view line) {
  if (line.starts_with("HTTP/1.1 ") && !line.substr(9).starts_with(' ')) return Version{9, 1, true};
  if (line.starts_with("HTTP/1.0 ") && !line.substr(9).starts_with(' ')) return Version{9, 0, true};
  if (ascii::istarts_with(line, kIcyPrefix)) return Version{kIcyPrefix.size()};
  if (!ascii::istarts_with(line, kVersionPrefix)) return std::nullopt;
  const std::string_view text = line.substr(kVersionPrefix.size());
  const std::string_view digits = text.substr(0, text.find(' '));
  const bool has_minor = digits.size() == 3 && digits[1] == '.' && ascii::is_digit(digits[2]);
  const bool is_version = (digits.size() == 1 || has_minor) && ascii::is_digit(digits.front());
  if (!is_version || digits.size() == text.size()) return std::nullopt;
  const bool is_old = digits.front() == '0' || digits == "1.0" || digits == "1";
  const size_t end = kVersionPrefix.size() + digits.size();
  return Version{std::min(line.find_first_not_of(' ', end), line.size()), is_old ? 0 : 1};
}

// The size of a field's name, or 0 for a line that has none: an empty name, no colon, or a blank
// or control byte inside.
size_t name_size_of(std::string_view line) {
  const size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = ascii::trim(line.substr(0, colon));
  const bool is_name = colon < line.size() && line.data() == name.data() &&
                       std::none_of(name.begin(), name.end(), [](char c) {
                         return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
                       });
  return is_name ? name.size() : 0;
}

// Lines of cameras that play in browsers: a second status line (of HTTP/1.0), and a date without
// `Date:`.
bool is_stray(std::string_view line) {
  const bool is_status = line.starts_with("HTTP/1.0 ");
  const bool is_date =
      line.size() == kDateSize && line.substr(3, 2) == ", " && line.ends_with(" GMT");
  return is_status || is_date;
}

}  // namespace

void ResponseParser::reset(Method request_method) {
  HeaderFields fields = std::move(head_.fields);  // keeps its memory
  fields.clear();
  head_ = {};
  head_.fields = std::move(fields);
  untouched_ = true;
  is_head_request_ = request_method == Method::head;
  failure_.reset();
  is_odd_ = false;
  interim_heads_ = 0;
  body_left_ = 0;
  chunks_.reset();
  begin_head();
}

void ResponseParser::begin_head() {
  step_ = Step::status_line;
  head_bytes_.clear();
  field_places_.clear();
  line_begin_ = scanned_ = 0;
  empty_lines_ = 0;
}

Result<ResponseParser::Item> ResponseParser::next(std::string_view& bytes) {
  if (!bytes.empty()) untouched_ = false;
  switch (step_) {
    case Step::status_line:
    case Step::fields:
      return next_of_head(bytes);
    case Step::length_body:
      return next_of_length_body(bytes);
    case Step::chunked_body:
      return next_of_chunked_body(bytes);
    case Step::until_close: {
      if (bytes.empty()) return Item{ItemKind::need_more, {}};
      return Item{ItemKind::body, std::exchange(bytes, {})};
    }
    case Step::complete:
      return end_with(bytes);
    case Step::failed:
      break;
  }
  return *failure_;
}

Result<ResponseParser::Item> ResponseParser::finish() {
  switch (step_) {
    case Step::status_line:
    case Step::fields:
      return fail(bad_response("closed inside the head"));
    case Step::length_body:
    case Step::chunked_body:
      return fail(Error{Reason::truncated_body, "closed inside the body"});
    case Step::until_close:
    case Step::complete:
      step_ = Step::complete;
      return Item{ItemKind::end, {}};
    case Step::failed:
      break;
  }
  return *failure_;
}

uint64_t ResponseParser::raw_body_left() const {
  if (step_ == Step::length_body) return body_left_;
  return step_ == Step::until_close ? std::numeric_limits<uint64_t>::max() : 0;
}

void ResponseParser::skip_body(uint64_t bytes) {
  CHECK(bytes <= raw_body_left());
  if (step_ != Step::length_body) return;
  body_left_ -= bytes;
  if (body_left_ == 0) step_ = Step::complete;
}

Result<ResponseParser::Item> ResponseParser::fail(Error error) {
  step_ = Step::failed;
  failure_ = std::move(error);
  return *failure_;
}

ResponseParser::Item ResponseParser::end_with(std::string_view left_over) {
  if (!left_over.empty()) head_.keep_alive = false;
  return {ItemKind::end, {}};
}

Result<ResponseParser::Item> ResponseParser::next_of_length_body(std::string_view& bytes) {
  if (bytes.empty()) return Item{ItemKind::need_more, {}};
  const std::string_view piece = bytes.substr(0, std::min<uint64_t>(body_left_, bytes.size()));
  bytes.remove_prefix(piece.size());
  skip_body(piece.size());
  return Item{ItemKind::body, piece};
}

Result<ResponseParser::Item> ResponseParser::next_of_chunked_body(std::string_view& bytes) {
  const auto piece = chunks_.next(bytes);
  if (!piece) return fail(piece.error());
  if (!piece->empty()) return Item{ItemKind::body, *piece};
  if (!chunks_.done()) return Item{ItemKind::need_more, {}};
  step_ = Step::complete;
  return end_with(bytes);
}

Result<ResponseParser::Item> ResponseParser::next_of_head(std::string_view& bytes) {
  while (true) {
    const std::string_view piece =
        bytes.substr(0, std::min(kHeadPieceBytes, kMaxHeadBytes - head_bytes_.size()));
    head_bytes_ += piece;
    const auto is_whole = check_lines();
    if (!is_whole) return fail(is_whole.error());
    const size_t left = *is_whole ? head_bytes_.size() - line_begin_ : 0;
    bytes.remove_prefix(piece.size() - left);
    if (*is_whole) {
      if (auto checked = check_whole_head(); !checked) return fail(std::move(checked).error());
      if (step_ != Step::status_line) return Item{ItemKind::head, {}};
    } else if (bytes.empty()) {
      return Item{ItemKind::need_more, {}};
    }
  }
}

// Checks the complete lines of head_bytes_. True: the head is whole and ends at line_begin_.
Result<bool> ResponseParser::check_lines() {
  const std::string_view text(head_bytes_);
  while (true) {
    // Besides line ends, NUL and a CR without an LF are forbidden (RFC 9110 5.5, RFC 9112 2.2).
    // Other control bytes are tolerated here; HeadWriter drops fields that have them.
    const size_t stop = std::min(ascii::find_any<'\n', '\r', '\0'>(text, scanned_), text.size());
    const std::string_view end = text.substr(stop, 2);
    if (end.empty() || end == "\r") {
      scanned_ = stop;
      return check_incomplete_line(text.substr(line_begin_));
    }
    const std::string_view line = text.substr(line_begin_, stop - line_begin_);
    if (end.front() != '\n' && end != "\r\n") return forbidden_byte_in(line);
    line_begin_ = scanned_ = stop + (end.front() == '\n' ? 1 : 2);
    if (step_ == Step::fields && line.empty()) return true;
    auto checked = step_ == Step::fields ? check_field_line(line) : check_first_line(line);
    if (!checked) return std::move(checked).error();
  }
}

// False if the line may become a valid one.
Result<bool> ResponseParser::check_incomplete_line(std::string_view begun) const {
  if (head_bytes_.size() == kMaxHeadBytes) return bad_response("head too large");
  if (step_ == Step::status_line && !may_become_status_line(begun)) {
    return bad_response("not HTTP/1");
  }
  return false;
}

Error ResponseParser::forbidden_byte_in(std::string_view line_begin) const {
  const bool is_http = step_ != Step::status_line || may_become_status_line(line_begin);
  return bad_response(is_http ? "forbidden byte" : "not HTTP/1");
}

Result<void> ResponseParser::check_first_line(std::string_view line) {
  if (!line.empty()) {
    step_ = Step::fields;
    return check_status_line(line);
  }
  // Some servers send empty lines after a body; other clients tolerate them.
  if (++empty_lines_ > kMaxEmptyLines) return bad_response("empty lines");
  return {};
}

// RFC 9112 4: HTTP-version SP status-code SP [ reason-phrase ]. Servers without a phrase often omit
// the second SP. The phrase is dropped. A status of another class counts as a 5xx (RFC 9110 15).
Result<void> ResponseParser::check_status_line(std::string_view line) {
  const auto version = parse_version(line);
  if (!version) return bad_response("status line");
  const std::string_view code = line.substr(version->size);
  const bool well_formed = code.size() >= 3 && (code.size() == 3 || code[3] == ' ');
  const auto status = ascii::parse_uint(well_formed ? code.substr(0, 3) : std::string_view());
  if (!status || *status < 100) return bad_response("status line");
  head_.minor_version = version->minor;
  head_.status = static_cast<int>(*status);
  if (!version->is_usual) is_odd_ = true;
  return {};
}

Result<void> ResponseParser::check_field_line(std::string_view line) {
  size_t name_length = http::token_size(line);
  size_t colon = name_length;
  if (name_length == 0 || name_length == line.size() || line[name_length] != ':') {
    is_odd_ = true;
    const bool is_folded = line.front() == ' ' || line.front() == '\t';
    if (is_folded && !field_places_.empty()) {
      unfold(line);
      return {};
    }
    name_length = name_size_of(line);
    if (name_length == 0 && !is_stray(line)) return bad_response("field name");
    colon = name_length == 0 ? 0 : line.find(':');
    // A field that cannot be named is dropped, as players do.
    if (!http::is_token(line.substr(0, name_length))) name_length = 0;
  }
  if (field_places_.size() == kMaxFields) return bad_response("too many fields");
  const auto begin = static_cast<size_t>(line.data() - head_bytes_.data());
  field_places_.push_back({begin, name_length, begin + colon + 1, begin + line.size()});
  return {};
}

// RFC 9112 5.2: the line continues the value of the field before. The line end becomes blanks.
void ResponseParser::unfold(std::string_view line) {
  FieldPlace& place = field_places_.back();
  const auto begin = static_cast<size_t>(line.data() - head_bytes_.data());
  std::fill(head_bytes_.begin() + static_cast<ptrdiff_t>(place.end),
            head_bytes_.begin() + static_cast<ptrdiff_t>(begin), ' ');
  place.end = begin + line.size();
}

Result<void> ResponseParser::check_whole_head() {
  if (head_.status == 101) return bad_response("unrequested 101");
  if (head_.status < 200) {
    if (++interim_heads_ > kMaxInterimHeads) return bad_response("too many interim heads");
    begin_head();
    return {};
  }
  build_fields();
  return check_framing_fields();
}

void ResponseParser::build_fields() {
  head_.fields.reserve(field_places_.size());
  const std::string_view text(head_bytes_);
  for (const auto& [begin, name_length, value_begin, end] : field_places_) {
    if (name_length == 0) continue;
    head_.fields.push_back({text.substr(begin, name_length),
                            ascii::trim(text.substr(value_begin, end - value_begin))});
  }
}

// RFC 9112 6.3; ambiguous framing is refused. `identity`, alone, is a coding of RFC 2616 that
// changes nothing. Other parsers may read it differently, so the connection is not used again.
Result<void> ResponseParser::check_framing_fields() {
  bool chunked = false;
  bool identity = false;
  http::ConnectionOptions connection;
  for (const auto& [name, value] : head_.fields) {
    if (ascii::iequals(name, "Transfer-Encoding")) {
      if (chunked || identity) return bad_response("Transfer-Encoding");
      chunked = ascii::iequals(value, "chunked");
      identity = ascii::iequals(value, "identity");
      if (!chunked && !identity) return bad_response("Transfer-Encoding");
    } else if (ascii::iequals(name, "Content-Length")) {
      const auto length = parse_content_length(value);
      if (!length || head_.declared_length.value_or(*length) != *length) {
        return bad_response("Content-Length");
      }
      head_.declared_length = length;
    } else if (ascii::iequals(name, "Connection")) {
      connection.add(value);
    }
  }
  if (chunked && head_.declared_length) return bad_response("two framings");
  head_.keep_alive = !identity && !is_odd_ && connection.persistent(head_.minor_version);
  if (is_head_request_ || head_.status == 204 || head_.status == 304) {
    begin_no_body(chunked);
  } else {
    begin_body(chunked);
  }
  return {};
}

void ResponseParser::begin_no_body(bool chunked) {
  head_.framing = Framing::none;
  step_ = Step::complete;
  // HEAD and 304 may describe the body that is not sent. A 204 that announces one may send it.
  const bool announced = chunked || head_.declared_length.value_or(0) > 0;
  if (head_.status == 204 && announced) head_.keep_alive = false;
}

void ResponseParser::begin_body(bool chunked) {
  if (chunked) {
    head_.framing = Framing::chunked;
    step_ = Step::chunked_body;
    // Faulty in a 1.0 message: the connection is closed after it (RFC 9112 6.1).
    if (head_.minor_version == 0) head_.keep_alive = false;
  } else if (head_.declared_length) {
    head_.framing = Framing::length;
    head_.content_length = body_left_ = *head_.declared_length;
    step_ = body_left_ > 0 ? Step::length_body : Step::complete;
  } else {
    head_.framing = Framing::until_close;
    head_.keep_alive = false;
    step_ = Step::until_close;
  }
}

}  // namespace streamgate
