// Decodes a brotli body (RFC 7932). Its window takes up to 16 MiB, as much as the body refers back.
#pragma once

#include <brotli/decode.h>

#include <array>
#include <memory>

#include "worker/http/decoder.h"

namespace streamgate {

class BrotliDecoder final : public Decoder {
 public:
  BrotliDecoder();

  Result<std::string_view> next(std::string_view& bytes) override;
  bool may_have_more() const override { return may_have_more_; }
  Result<void> finish() override;

 private:
  struct Deleter {
    void operator()(BrotliDecoderState* state) const { BrotliDecoderDestroyInstance(state); }
  };

  std::unique_ptr<BrotliDecoderState, Deleter> state_;
  bool may_have_more_ = false;
  bool has_ended_ = false;
  std::array<char, kPieceBytes> piece_;
};

}  // namespace streamgate
