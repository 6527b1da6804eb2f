// Decodes a zstd body (RFC 8878): one frame or several. Windows above 8 MiB are refused (RFC 9659).
#pragma once

#include <zstd.h>

#include <array>
#include <memory>

#include "worker/http/decoder.h"

namespace streamgate {

class ZstdDecoder final : public Decoder {
 public:
  ZstdDecoder();

  Result<std::string_view> next(std::string_view& bytes) override;
  bool may_have_more() const override { return may_have_more_; }
  Result<void> finish() override;

 private:
  struct Deleter {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  std::unique_ptr<ZSTD_DCtx, Deleter> context_;
  bool may_have_more_ = false;
  bool is_between_frames_ = false;  // at least one has ended
  std::array<char, kPieceBytes> piece_;
};

}  // namespace streamgate
