// What it takes to go on with a body whose upstream went away in the middle: the bytes that are
// missing are asked for with Range and If-Range (RFC 9110 13.1.5, 14.2), and the answer is believed
// only if it says that it is exactly those, of exactly the same representation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "worker/http/message.h"

namespace streamgate {

class Resumption {
 public:
  // Of the response whose body was begun. None if its rest cannot be asked for: no length, no
  // strong validator, or not one range of a known whole.
  static std::optional<Resumption> of(const ResponseHead& head);

  // `taken`: how many bytes of the body have come.
  bool is_complete(uint64_t taken) const { return first_ + taken > last_; }
  std::string range(uint64_t taken) const;  // the Range field
  const std::string& validator() const { return validator_; }

  // Nothing if this response is the rest, else why not.
  Result<void> check(const ResponseHead& head, uint64_t taken) const;

 private:
  uint64_t first_ = 0;  // places in the whole; last_ is the last byte of the body
  uint64_t last_ = 0;
  uint64_t whole_ = 0;
  bool by_date_ = false;   // the validator is a Last-Modified, not an ETag
  std::string validator_;  // as it was sent
  std::string coding_;     // Content-Encoding
};

// One byte range of a whole of known length: `bytes 0-99/1000` (RFC 9110 14.4).
struct ContentRange {
  uint64_t first;
  uint64_t last;
  uint64_t whole;
};
std::optional<ContentRange> parse_content_range(std::string_view value);

// Seconds since 1970 of an IMF-fixdate (RFC 9110 5.6.7), the only form a server may send.
std::optional<int64_t> parse_http_date(std::string_view value);

}  // namespace streamgate
