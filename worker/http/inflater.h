// Inflates a gzip or deflate body piece by piece (RFC 1950 to 1952), for documents of upstreams
// that ignore `Accept-Encoding: identity`. `deflate` may be zlib-wrapped or raw: servers send both.
#pragma once

#include <functional>
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

  // Calls `sink` with pieces of at most 64 KiB, so that a small body that inflates to a huge one is
  // never in memory as a whole. bad_response if the data does not match the coding.
  using Sink = std::function<void(std::string_view)>;
  Result<void> write(std::string_view bytes, const Sink& sink);
  // truncated_body if the coded stream has not ended.
  Result<void> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
