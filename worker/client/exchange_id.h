// The id of an exchange. It is in each answer (X-Streamgate-Id), in error bodies and in the access
// log, so that the log line of an answer can be found. A worker makes 64-bit ids from a counter
// that begins at a random number. Workers do not coordinate; the probability that two of them, or
// two runs, make the same id is negligible. A trusted proxy in front may set the id.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "worker/http/message.h"

namespace streamgate {

class ExchangeId {
 public:
  static constexpr size_t kMaxBytes = 64;

  ExchangeId() = default;
  // `text` has at most kMaxBytes, each allowed in a field value.
  explicit ExchangeId(std::string_view text);

  // Letters, digits, `-`, `_`, `.` and `:`. Both are empty for an id that was not set.
  std::string_view text() const { return {line_.data() + kName.size(), size_}; }
  // The whole header field, with CRLF.
  std::string_view field() const {
    return {line_.data(), size_ == 0 ? 0 : kName.size() + size_ + 2};
  }

 private:
  static constexpr std::string_view kName = "X-Streamgate-Id: ";

  uint8_t size_ = 0;
  std::array<char, kName.size() + kMaxBytes + 2> line_;
};

// The ids that one worker makes.
class ExchangeIds {
 public:
  ExchangeIds();  // begins at a random number
  explicit ExchangeIds(uint64_t first) : next_(first) {}

  // 13 letters and digits, different in most places from the id before.
  ExchangeId next();

 private:
  uint64_t next_;
};

// The value of X-Streamgate-Id, if the request has exactly one and it is well-formed: 1 to
// ExchangeId::kMaxBytes of the bytes that an id may have.
std::optional<std::string_view> given_exchange_id(const HeaderFields& fields);

}  // namespace streamgate
