// Resumes a body whose connection broke. The missing bytes are requested with Range and If-Range
// (RFC 9110 13.1.5, 14.2). The answer is accepted only if its head says that it holds exactly these
// bytes of the same representation.
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
  // Without a strong validator the missing bytes may belong to another version of the body.
  enum class Unverified { rejected, accepted };

  // From the head of the broken response. nullopt if the missing bytes cannot be requested: no
  // length, no strong validator (unless `unverified` accepts that), or a 206 that is not one range
  // of a representation of known length.
  static std::optional<Resumption> of(const ResponseHead& head, Unverified unverified);

  // `taken`: bytes of the body that were received.
  bool is_complete(uint64_t taken) const { return first_ + taken > last_; }
  std::string range(uint64_t taken) const;                     // the Range field
  const std::string& validator() const { return validator_; }  // the If-Range field; empty: none

  // truncated_body if `head` does not announce exactly the missing bytes; the detail gives the
  // reason. Without a validator the length of the whole must be the same, and a weak ETag or a
  // Last-Modified that both answers have.
  Result<void> check(const ResponseHead& head, uint64_t taken) const;

 private:
  bool has_same_validator(const ResponseHead& head) const;

  uint64_t first_ = 0;  // offset of the body's first byte in the representation
  uint64_t last_ = 0;   // offset of its last byte
  uint64_t whole_ = 0;
  bool by_date_ = false;   // the validator is a Last-Modified, not an ETag
  std::string validator_;  // as it was sent; empty: unverified
  std::string tag_;        // ETag and Last-Modified as they were sent, if unverified
  std::string modified_;
  std::string coding_;  // Content-Encoding
};

// One byte range of a representation of known length: `bytes 0-99/1000` (RFC 9110 14.4).
struct ContentRange {
  uint64_t first;
  uint64_t last;
  uint64_t whole;
};
std::optional<ContentRange> parse_content_range(std::string_view value);

// Seconds since 1970 of an IMF-fixdate (RFC 9110 5.6.7), the only form a server may send.
std::optional<int64_t> parse_http_date(std::string_view value);

}  // namespace streamgate
