#include "worker/http/request_head_parser.h"

#include <algorithm>
#include <array>

#include "common/url.h"

namespace streamgate {
namespace {

constexpr size_t kMaxFields = 100;
constexpr unsigned kMaxEmptyLines = 2;
constexpr uint64_t kMaxBodyBytes = uint64_t{16} * 1024;

// RFC 9110 9.3 and RFC 5789: methods that exist but are not served here. Any other token is
// unknown.
constexpr std::array<std::string_view, 6> kRefusedMethods = {"POST",  "PUT",     "DELETE",
                                                             "PATCH", "CONNECT", "TRACE"};

Error bad_request(std::string_view detail) {
  return Error{Reason::bad_request, std::string(detail)};
}

constexpr bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }

// "HTTP/1.0" or "HTTP/1.1" to 0 or 1.
Result<int> minor_version_of(std::string_view version) {
  if (version.size() != 8 || !version.starts_with("HTTP/") || !ascii::is_digit(version[5]) ||
      version[6] != '.' || !ascii::is_digit(version[7])) {
    return bad_request("malformed version");
  }
  if (version[5] != '1' || version[7] > '1') {
    return Error{Reason::version_not_supported, std::string(version)};
  }
  return version[7] - '0';
}

Result<Method> method_of(std::string_view text, RequestHeadParser::Bodies bodies) {
  if (text == "POST" && bodies == RequestHeadParser::Bodies::small) return Method::post;
  if (text == "GET") return Method::get;
  if (text == "HEAD") return Method::head;
  if (text == "OPTIONS") return Method::options;
  const bool known =
      std::find(kRefusedMethods.begin(), kRefusedMethods.end(), text) != kRefusedMethods.end();
  return Error{known ? Reason::method_not_allowed : Reason::not_implemented, std::string(text)};
}

// The length of the scheme of an absolute-form, `://` included; 0 for other forms.
size_t absolute_form_prefix(std::string_view target) {
  if (ascii::istarts_with(target, "http://")) return 7;
  if (ascii::istarts_with(target, "https://")) return 8;
  return 0;
}

}  // namespace

void RequestHeadParser::reset() {
  head_.fields.clear();
  head_.target = {};
  head_.body = {};
  body_bytes_ = 0;
  is_head_whole_ = false;
  refused_.reset();
  started_ = false;
  request_line_done_ = false;
  empty_lines_ = 0;
  begin_ = line_begin_ = scanned_ = 0;
  target_ = {};
  rewritten_target_.clear();
  has_high_bytes_ = false;
  fields_.clear();
  field_lines_ = 0;
  host_count_ = 0;
  body_announced_.reset();
  transfer_encoding_ = false;
  connection_ = {};
}

Result<size_t> RequestHeadParser::parse(std::string_view received) {
  if (refused_) return *refused_;
  base_ = received.data();
  Result<size_t> outcome = advance(received);
  if (!outcome) refused_ = outcome.error();
  return outcome;
}

Result<size_t> RequestHeadParser::advance(std::string_view received) {
  if (is_head_whole_) return take_body(received);
  if (!started_) {
    if (auto skipped = skip_empty_lines(received); !skipped) return std::move(skipped).error();
    if (!started_) return size_t{0};
  }
  const std::string_view head = received.substr(0, begin_ + limits_.request_head);
  while (true) {
    auto line = next_line(head);
    if (!line) return std::move(line).error();
    if (!line->has_value()) break;
    if (request_line_done_ && (*line)->empty()) {
      if (auto whole = check_whole(); !whole) return std::move(whole).error();
      is_head_whole_ = true;
      return take_body(received);
    }
    auto checked = request_line_done_ ? check_field_line(**line) : check_request_line(**line);
    if (!checked) return std::move(checked).error();
    request_line_done_ = true;
  }
  if (received.size() > head.size()) {
    return Error{request_line_done_ ? Reason::header_too_large : Reason::uri_too_long, "head"};
  }
  return size_t{0};
}

// 0 while the body is incomplete.
Result<size_t> RequestHeadParser::take_body(std::string_view received) {
  if (received.size() - line_begin_ < body_bytes_) return size_t{0};
  build_head(received);
  head_.body = received.substr(line_begin_, body_bytes_);
  return line_begin_ + body_bytes_;
}

// RFC 9112 2.2: a robust server ignores an empty line received before the request line.
Result<void> RequestHeadParser::skip_empty_lines(std::string_view received) {
  while (begin_ < received.size()) {
    const char first = received[begin_];
    if (first != '\r' || empty_lines_ == kMaxEmptyLines) {
      started_ = true;
      line_begin_ = scanned_ = begin_;
      if (!http::is(http::kTokenByte, first)) return bad_request("method");
      return {};
    }
    if (begin_ + 1 == received.size()) return {};
    if (received[begin_ + 1] != '\n') return bad_request("bare CR");
    begin_ += 2;
    ++empty_lines_;
  }
  return {};
}

// The first byte of `text` at or after `from` that is not allowed in the current line. Notes
// whether a target has bytes of UTF-8: Kodi and curl do not encode them.
size_t RequestHeadParser::find_forbidden(std::string_view text, size_t from) {
  const bool in_request_line = !request_line_done_;
  const std::string_view new_text = text.substr(from);
  const bool all_allowed =
      in_request_line ? http::is_visible_or_blank(new_text) : http::is_field_value(new_text);
  if (all_allowed) return std::string_view::npos;
  for (size_t i = from; i < text.size(); ++i) {
    const char c = text[i];
    if (in_request_line && is_high(c)) has_high_bytes_ = true;
    const bool allowed = in_request_line ? http::is(http::kTargetByte, c) || c == ' ' || is_high(c)
                                         : http::is(http::kFieldByte, c);
    if (!allowed) return i;
  }
  return std::string_view::npos;
}

// The next complete line without its CRLF, or nullopt. Checks the new bytes in either case.
Result<std::optional<std::string_view>> RequestHeadParser::next_line(std::string_view head) {
  const size_t longest = std::min(request_line_done_ ? limits_.request_head : limits_.request_line,
                                  limits_.request_head);
  const std::string_view window = head.substr(line_begin_, longest + 2);
  const size_t from = scanned_ - line_begin_;
  const size_t newline = window.find('\n', from);
  const bool complete = newline != std::string_view::npos;

  // A CR at the end of the bytes may still become a CRLF. Any other CR is bare, and forbidden like
  // other control bytes.
  std::string_view text = window.substr(0, complete ? newline : window.size());
  const bool ends_in_cr = text.ends_with('\r');
  if (ends_in_cr) text.remove_suffix(1);
  const size_t forbidden = find_forbidden(text, from);
  if (forbidden <= longest) return bad_request("forbidden byte");
  if (text.size() > longest) {
    return Error{request_line_done_ ? Reason::header_too_large : Reason::uri_too_long, "line"};
  }
  if (!complete) {
    scanned_ = line_begin_ + text.size();
    return std::optional<std::string_view>();
  }
  if (!ends_in_cr) return bad_request("bare LF");
  line_begin_ += newline + 1;
  scanned_ = line_begin_;
  return std::optional<std::string_view>(text);
}

// RFC 9112 3: method SP request-target SP HTTP-version, and nothing more.
Result<void> RequestHeadParser::check_request_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return bad_request("request line");
  const std::string_view method_text = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!http::is_token(method_text)) return bad_request("method");
  if (target.empty() || target.find(' ') != std::string_view::npos) return bad_request("target");
  const auto minor_version = minor_version_of(line.substr(last + 1));
  if (!minor_version) return minor_version.error();
  const auto method = method_of(method_text, bodies_);
  if (!method) return method.error();
  head_.method = *method;
  head_.minor_version = *minor_version;
  return check_target(target);
}

// RFC 9112 3.2. The authority of an absolute-form is checked and dropped: it is never used as an
// upstream.
Result<void> RequestHeadParser::check_target(std::string_view target) {
  if (target.find('#') != std::string_view::npos) return bad_request("fragment in target");
  if (target == "*" && head_.method == Method::options) {
    target_ = span_of(target);
    return {};
  }
  if (const size_t prefix = absolute_form_prefix(target); prefix > 0) {
    target.remove_prefix(prefix);
    const std::string_view authority = target.substr(0, ascii::find_any<'/', '?'>(target));
    if (!http::is_host_and_port(authority)) return bad_request("authority");
    target.remove_prefix(authority.size());
  } else if (!target.starts_with('/')) {
    return bad_request("target form");
  }
  take_target(target);
  return {};
}

// `target` is empty, or begins with `/` or `?`. Several slashes at the beginning come from joining
// `http://host/` and `/stream`.
void RequestHeadParser::take_target(std::string_view target) {
  while (target.starts_with("//")) target.remove_prefix(1);
  if (!has_high_bytes_ && target.starts_with('/')) {
    target_ = span_of(target);
    return;
  }
  rewritten_target_ = target.starts_with('/') ? "" : "/";
  for (const char c : target) {
    if (is_high(c)) {
      percent_encode({&c, 1}, rewritten_target_);
    } else {
      rewritten_target_ += c;
    }
  }
}

Result<void> RequestHeadParser::check_field_line(std::string_view line) {
  if (++field_lines_ > kMaxFields) return Error{Reason::header_too_large, "fields"};
  // A blank at the beginning is obs-fold (RFC 9112 5.2); a blank before the colon allows request
  // smuggling (RFC 9112 5.1). Both fail the token.
  const size_t colon = http::token_size(line);
  if (colon == 0 || colon == line.size() || line[colon] != ':') return bad_request("field name");
  return check_field(line.substr(0, colon), ascii::trim(line.substr(colon + 1)));
}

Result<void> RequestHeadParser::check_field(std::string_view name, std::string_view value) {
  if (ascii::iequals(name, "Content-Length")) return check_content_length(value);
  if (ascii::iequals(name, "Transfer-Encoding")) {
    transfer_encoding_ = true;
    return {};
  }
  if (ascii::iequals(name, "Expect")) {
    if (ascii::iequals(value, "100-continue")) return {};
    return Error{Reason::expectation_failed, {}};
  }
  if (ascii::iequals(name, "Host")) {
    if (++host_count_ > 1) return bad_request("repeated Host");
    if (!http::is_host_and_port(value)) return bad_request("Host");
  }
  if (ascii::iequals(name, "Connection")) connection_.add(value);
  fields_.push_back({span_of(name), span_of(value)});
  return {};
}

// Digits, once. A number too large for an integer also announces a body, which is not accepted.
Result<void> RequestHeadParser::check_content_length(std::string_view value) {
  if (body_announced_) return bad_request("repeated Content-Length");
  if (value.empty() || !std::all_of(value.begin(), value.end(), ascii::is_digit)) {
    return bad_request("Content-Length");
  }
  body_announced_ = value.find_first_not_of('0') != std::string_view::npos;
  body_bytes_ = ascii::parse_uint(value).value_or(kMaxBodyBytes + 1);
  return {};
}

Result<void> RequestHeadParser::check_whole() const {
  if (host_count_ == 0 && head_.minor_version >= 1) return bad_request("no Host");
  // Both at once may be an attempt at request smuggling (RFC 9112 6.1).
  if (transfer_encoding_ && body_announced_) return bad_request("two framings");
  if (transfer_encoding_) return Error{Reason::not_implemented, "Transfer-Encoding"};
  const bool may_have_body = head_.method == Method::post && body_bytes_ <= kMaxBodyBytes;
  if (body_announced_.value_or(false) && !may_have_body) {
    return Error{Reason::body_not_accepted, {}};
  }
  return {};
}

void RequestHeadParser::build_head(std::string_view received) {
  head_.target =
      rewritten_target_.empty() ? target_.in(received) : std::string_view(rewritten_target_);
  head_.keep_alive = connection_.persistent(head_.minor_version);
  head_.fields.clear();
  head_.fields.reserve(fields_.size());
  for (const FieldSpan& field : fields_) {
    head_.fields.push_back({field.name.in(received), field.value.in(received)});
  }
}

}  // namespace streamgate
