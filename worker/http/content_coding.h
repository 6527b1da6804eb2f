// Content codings (RFC 9110 8.4.1): how the bytes of a body are compressed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "worker/http/message.h"

namespace streamgate {

enum class ContentCoding : uint8_t { identity, gzip, deflate, brotli, zstd };

// The codings of a body, in the order in which they were applied. A value.
class ContentCodings {
 public:
  static constexpr size_t kMaxCodings = 3;

  // Implicit: one coding is a list too. `identity` is the empty list.
  ContentCodings(ContentCoding coding = ContentCoding::identity) { add(coding); }

  bool empty() const { return size_ == 0; }
  std::span<const ContentCoding> list() const { return {codings_.data(), size_}; }
  // A word names no known coding, or there are too many codings. Servers write words such as
  // `utf-8` or `aws-chunked` for bodies that are not coded, so the bytes decide.
  bool has_unknown() const { return has_unknown_; }

  void add(ContentCoding coding);
  // Removes the last coding if it equals the one before it, else returns false. Some servers name
  // `gzip` twice for a body that they have compressed once.
  bool drop_repeated();
  void add_unknown() { has_unknown_ = true; }

  bool operator==(const ContentCodings&) const = default;

 private:
  std::array<ContentCoding, kMaxCodings> codings_{};
  uint8_t size_ = 0;
  bool has_unknown_ = false;
};

// Parses all fields Content-Encoding.
ContentCodings parse_content_codings(const HeaderFields& fields);

}  // namespace streamgate
