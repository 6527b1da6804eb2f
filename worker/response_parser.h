// Incremental parser of an upstream's response (RFC 9112). The upstream is hostile: what is not
// exactly right is refused before anything was relayed, or cut after.
//
// Interim (1xx) heads are swallowed, at most 8; 101 is refused. HEAD, 204 and 304 have no body.
// Transfer-Encoding is `chunked` once or refused, and never together with Content-Length. Bare LF
// line ends are tolerated, obs-fold, NUL and bare CR are not. Head at most 32 KiB and 200 fields;
// chunk extensions and trailers together at most 16 KiB; both are dropped.
//
// Level 1: no socket, no event loop. Pull style, so that a caller can stop between any two items:
//
//   while (true) {
//     auto item = parser.next(bytes);      // consumes from the front of `bytes`
//     if (!item) -> error;  switch (item->kind) { need_more: return; head: ...; body: ...; end: ...
//     }
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "worker/http_message.h"

namespace streamgate {

class ResponseParser {
 public:
  enum class ItemKind { need_more, head, body, end };
  struct Item {
    ItemKind kind;
    std::string_view
        body;  // ItemKind::body: a piece of `bytes`, never empty, chunk framing removed
  };

  // Begins a response to a request of that method.
  void reset(Method request_method);

  Result<Item> next(std::string_view& bytes);

  // The upstream closed. `end` if the response was complete with that (Framing::until_close), else
  // bad_response (inside the head, or nothing came) or truncated_body.
  Result<Item> finish();

  // Valid from the head item to the next reset().
  const ResponseHead& head() const { return head_; }

  // No byte of this response has been seen yet.
  bool untouched() const { return untouched_; }

  // Body bytes that may still be taken straight from the socket, past the parser: what is left of a
  // Content-Length, or UINT64_MAX until close; 0 in every other state. skip_body() accounts for
  // them.
  uint64_t raw_body_left() const;
  void skip_body(uint64_t bytes);

 private:
  ResponseHead head_;
  bool untouched_ = true;
};

}  // namespace streamgate
