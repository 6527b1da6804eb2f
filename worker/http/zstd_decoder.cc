#include "worker/http/zstd_decoder.h"

#include "common/check.h"

namespace streamgate {
namespace {

constexpr int kMaxWindowBits = 23;

}  // namespace

ZstdDecoder::ZstdDecoder() : context_(ZSTD_createDCtx()) {
  CHECK(context_ != nullptr);  // else out of memory
  ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowBits);
}

Result<std::string_view> ZstdDecoder::next(std::string_view& bytes) {
  while (!bytes.empty() || may_have_more_) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer out{piece_.data(), piece_.size(), 0};
    const size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
    if (ZSTD_isError(result) != 0) return Error{Reason::bad_response, ZSTD_getErrorName(result)};
    bytes.remove_prefix(in.pos);
    is_between_frames_ = result == 0;
    may_have_more_ = !is_between_frames_ && out.pos == out.size;
    if (out.pos > 0) return std::string_view(piece_.data(), out.pos);
    if (in.pos == 0) break;
  }
  return std::string_view();
}

Result<void> ZstdDecoder::finish() {
  if (is_between_frames_) return {};
  return Error{Reason::truncated_body, "the coded body is truncated"};
}

}  // namespace streamgate
