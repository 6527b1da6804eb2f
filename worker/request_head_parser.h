// The strict request-head parser that stands in front of libevhtp (RFC 9112 2 to 6). Whole head or
// nothing: GET, HEAD and OPTIONS, origin-form (absolute-form is reduced to its path), exactly one
// Host on 1.1, no body of any kind, no obs-fold, no bare LF, no control bytes.
//
// Level 1: no socket, no event loop. One parser serves one client connection.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/config.h"
#include "common/result.h"
#include "worker/http_message.h"

namespace streamgate {

class RequestHeadParser {
 public:
  explicit RequestHeadParser(const LimitsConfig& limits) : limits_(limits) {}

  // `received` is everything since the end of the last request; each call must extend the bytes of
  // the one before (they may have moved in memory). Returns the number of bytes the head takes, 0
  // as long as it is incomplete, or why it is refused: as early as that can be told, and always
  // with a reason that has a 4xx or 5xx status. At most two CRLF before the request line are
  // skipped.
  Result<size_t> parse(std::string_view received);

  // Valid after parse() returned a size, as long as those bytes stay where they are.
  const RequestHead& head() const { return head_; }

  // True once any byte of a request line has been seen: the header deadline runs.
  bool started() const;

  // Begins anew for the next request.
  void reset();

 private:
  const LimitsConfig& limits_;
  RequestHead head_;
};

}  // namespace streamgate
