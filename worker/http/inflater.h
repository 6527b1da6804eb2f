// Inflates a gzip or deflate body piece by piece (RFC 1950 to 1952), for documents of upstreams
// that ignore `Accept-Encoding: identity`. `deflate` may be zlib-wrapped or raw: servers send both.
#pragma once

#include <memory>
#include <string_view>

#include "common/result.h"

namespace streamgate {

enum class ContentCoding { identity, gzip, deflate, unknown };

// Parses the value of Content-Encoding. Several codings in a row are unknown; `identity` is not
// counted.
ContentCoding parse_content_coding(std::string_view value);

class Inflater {
 public:
  explicit Inflater(ContentCoding coding);  // gzip or deflate
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Inflates one piece of at most 32 KiB, which is valid until the next call, and removes the bytes
  // that went into it from `bytes`. Empty: more bytes are needed, or the coded stream has ended and
  // all bytes behind it were removed. bad_response if the data does not match the coding.
  Result<std::string_view> next(std::string_view& bytes);
  // The last piece filled the buffer, so next() may have more even without bytes.
  bool may_have_more() const;
  // truncated_body if the coded stream has not ended.
  Result<void> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
