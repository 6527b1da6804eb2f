// Incremental parser of an upstream's response (RFC 9112). Upstreams are not trusted: an invalid
// head is refused before anything is relayed, an invalid body is cut.
//
// Up to 8 interim (1xx) heads are swallowed; 101 is refused. HEAD, 204 and 304 have no body.
// Transfer-Encoding must be `chunked`, once, and without Content-Length; `identity` alone is
// ignored. A head has at most 128 KiB and 1000 fields. Chunk extensions and trailers are dropped;
// together they have at most 16 KiB.
//
// These deviations are tolerated, as by all players, also in interim heads: `ICY 200 OK` (read as
// HTTP/1.0), another HTTP version, folded fields, blanks before a colon, and names that are not
// tokens (the field is dropped). After one of them the connection is not used again. Bare LF line
// ends are tolerated too. NUL, a bare CR, a line without a colon and a name with a blank inside are
// refused.
//
// Pull style, so that a caller can stop between any two items:
//
//   while (true) {
//     auto item = parser.next(bytes);      // consumes from the front of `bytes`
//     if (!item) -> error;  switch (item->kind) { need_more: return; head: ...; body: ...; end: ...
//     }
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "worker/http/chunk_decoder.h"
#include "worker/http/message.h"

namespace streamgate {

class ResponseParser {
 public:
  enum class ItemKind { need_more, head, body, end };
  struct Item {
    ItemKind kind;
    // ItemKind::body: a piece of `bytes` without chunk framing; never empty.
    std::string_view body;
  };

  // Begins a response to a request of that method.
  void reset(Method request_method);

  // If bytes are left after the end item, they belong to no response, and head().keep_alive is
  // false.
  Result<Item> next(std::string_view& bytes);

  // The upstream closed. `end` if that completes the response (Framing::until_close), else
  // bad_response (no head, or a part of one) or truncated_body.
  Result<Item> finish();

  // Valid from the head item to the next reset(); its views point into the parser.
  const ResponseHead& head() const { return head_; }

  // No byte of this response has been seen yet.
  bool untouched() const { return untouched_; }

  // Body bytes that may be taken directly from the socket, past the parser: the remaining bytes of
  // a Content-Length, or UINT64_MAX until close; 0 in every other state. skip_body() accounts for
  // them.
  uint64_t raw_body_left() const;
  void skip_body(uint64_t bytes);

 private:
  enum class Step { status_line, fields, length_body, chunked_body, until_close, complete, failed };

  Result<Item> next_of_head(std::string_view& bytes);
  Result<Item> next_of_length_body(std::string_view& bytes);
  Result<Item> next_of_chunked_body(std::string_view& bytes);
  Item end_with(std::string_view left_over);
  Result<Item> fail(Error error);

  Result<bool> check_lines();
  Result<bool> check_incomplete_line(std::string_view begun) const;
  Error forbidden_byte_in(std::string_view line_begin) const;
  Result<void> check_first_line(std::string_view line);
  Result<void> check_status_line(std::string_view line);
  Result<void> check_field_line(std::string_view line);
  void unfold(std::string_view line);
  Result<void> check_whole_head();
  Result<void> check_framing_fields();
  void begin_no_body(bool chunked);
  void begin_body(bool chunked);
  void build_fields();
  void begin_head();

  ResponseHead head_;
  bool untouched_ = true;
  bool is_head_request_ = false;
  Step step_ = Step::status_line;
  std::optional<Error> failure_;  // final: every later call returns it

  // The bytes of the head. While they may still move, fields are places in them; once the head is
  // complete, the views of head_ point into them.
  std::string head_bytes_;
  struct FieldPlace {
    size_t begin;
    size_t name_length;  // 0: the field is dropped
    size_t value_begin;
    size_t end;
  };
  std::vector<FieldPlace> field_places_;
  size_t line_begin_ = 0;  // of the first line that is not complete
  size_t scanned_ = 0;     // up to here it has no byte that could end it
  unsigned empty_lines_ = 0;
  unsigned interim_heads_ = 0;
  bool is_odd_ = false;  // another parser may read this head differently

  uint64_t body_left_ = 0;  // Step::length_body
  ChunkDecoder chunks_;
};

}  // namespace streamgate
