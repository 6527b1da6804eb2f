// The strict parser of client request heads (RFC 9112 2 to 6). It accepts GET, HEAD and OPTIONS in
// origin-form (absolute-form is reduced to its path), with exactly one Host on 1.1. It refuses
// bodies of any kind, obs-fold, bare LF and control bytes. Bytes of UTF-8 in the target become
// percent-encoded, and several slashes at its beginning become one.
//
// One parser serves one client connection.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "worker/http/grammar.h"
#include "worker/http/message.h"

namespace streamgate {

class RequestHeadParser {
 public:
  // small: a POST with a body of at most 16 KiB is accepted, and the body counts as a part of the
  // head.
  enum class Bodies { refused, small };

  explicit RequestHeadParser(const LimitsConfig& limits, Bodies bodies = Bodies::refused)
      : limits_(limits), bodies_(bodies) {}

  // `received` is all bytes since the end of the last request; each call must extend the bytes of
  // the call before (they may have moved in memory). Returns the size of the head in bytes, or 0
  // while the head is incomplete. A head is refused at the first byte that makes it invalid, with a
  // Reason that has a 4xx or 5xx status. At most two CRLF before the request line are skipped.
  // After a size or a refusal, call reset().
  Result<size_t> parse(std::string_view received);

  // Valid after parse() returned a size, as long as those bytes stay where they are.
  const RequestHead& head() const { return head_; }

  // True once any byte of a request line has been seen: the header deadline runs.
  bool started() const { return started_; }

  // Starts the next request.
  void reset();

 private:
  // Places in `received`, because the bytes may move between two calls.
  struct Span {
    size_t begin = 0;
    size_t length = 0;
    std::string_view in(std::string_view text) const { return text.substr(begin, length); }
  };
  struct FieldSpan {
    Span name;
    Span value;
  };

  // Each checks the bytes strictly in order, so that the first deciding byte sets the outcome,
  // however the bytes are split.
  Result<size_t> advance(std::string_view received);
  Result<void> skip_empty_lines(std::string_view received);
  Result<std::optional<std::string_view>> next_line(std::string_view head);
  Result<void> check_request_line(std::string_view line);
  Result<void> check_target(std::string_view target);
  void take_target(std::string_view target);
  size_t find_forbidden(std::string_view text, size_t from);
  Result<void> check_field_line(std::string_view line);
  Result<void> check_field(std::string_view name, std::string_view value);
  Result<void> check_content_length(std::string_view value);
  Result<void> check_whole() const;
  Result<size_t> take_body(std::string_view received);
  void build_head(std::string_view received);

  size_t offset_of(const char* byte) const { return static_cast<size_t>(byte - base_); }
  Span span_of(std::string_view part) const { return {offset_of(part.data()), part.size()}; }

  const LimitsConfig& limits_;
  const Bodies bodies_;
  RequestHead head_;
  std::optional<Error> refused_;  // final: every later call returns it

  const char* base_ = nullptr;  // received.data() of the call that is running
  bool started_ = false;
  bool request_line_done_ = false;
  unsigned empty_lines_ = 0;  // skipped before the request line
  size_t begin_ = 0;          // of the request line
  size_t line_begin_ = 0;
  size_t scanned_ = 0;  // bytes before this one have been checked

  Span target_;
  // The target if it differs from the received bytes: an absolute-form without a path, or UTF-8.
  std::string rewritten_target_;
  bool has_high_bytes_ = false;  // in the request line
  std::vector<FieldSpan> fields_;
  size_t field_lines_ = 0;
  unsigned host_count_ = 0;
  std::optional<bool> body_announced_;  // set by Content-Length: true if more than 0
  uint64_t body_bytes_ = 0;             // of a body that is accepted
  bool transfer_encoding_ = false;
  bool is_head_whole_ = false;  // only the body is awaited
  http::ConnectionOptions connection_;
};

}  // namespace streamgate
