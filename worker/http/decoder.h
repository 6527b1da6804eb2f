// Removes the content codings of a body piece by piece, for documents of upstreams that ignore
// `Accept-Encoding: identity`. Pull style: only pieces that the caller asks for are decoded, so a
// small body that decodes to a huge one costs no memory.
#pragma once

#include <memory>
#include <string_view>

#include "common/result.h"
#include "worker/http/content_coding.h"

namespace streamgate {

class Decoder {
 public:
  static constexpr size_t kPieceBytes = size_t{32} * 1024;

  virtual ~Decoder() = default;

  // Decodes one piece of at most kPieceBytes, which is valid until the next call, and removes the
  // consumed bytes from `bytes`. An empty piece: more bytes are needed, or the coded stream has
  // ended and all bytes after it were removed. A decoder of several codings may also return an
  // empty piece to yield, with bytes left or may_have_more(). Fails with bad_response if the data
  // does not match the coding.
  virtual Result<std::string_view> next(std::string_view& bytes) = 0;
  // Whether next() may return more without further bytes.
  virtual bool may_have_more() const = 0;
  // truncated_body if the coded stream has not ended.
  virtual Result<void> finish() = 0;
};

// `codings` is not empty.
std::unique_ptr<Decoder> make_decoder(const ContentCodings& codings);

}  // namespace streamgate
