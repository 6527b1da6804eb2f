#include "worker/http/brotli_decoder.h"

#include "common/check.h"

namespace streamgate {

BrotliDecoder::BrotliDecoder() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
  CHECK(state_ != nullptr);  // else out of memory
}

Result<std::string_view> BrotliDecoder::next(std::string_view& bytes) {
  while (!has_ended_ && (!bytes.empty() || may_have_more_)) {
    size_t in_left = bytes.size();
    const auto* in = reinterpret_cast<const uint8_t*>(bytes.data());
    size_t out_left = piece_.size();
    auto* out = reinterpret_cast<uint8_t*>(piece_.data());
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state_.get(), &in_left, &in, &out_left, &out, nullptr);
    if (result == BROTLI_DECODER_RESULT_ERROR) {
      return Error{Reason::bad_response,
                   BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state_.get()))};
    }
    bytes.remove_prefix(bytes.size() - in_left);
    may_have_more_ = result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    has_ended_ = result == BROTLI_DECODER_RESULT_SUCCESS;
    if (out_left < piece_.size()) return std::string_view(piece_.data(), piece_.size() - out_left);
  }
  if (has_ended_) bytes = {};  // padding
  return std::string_view();
}

Result<void> BrotliDecoder::finish() {
  if (has_ended_) return {};
  return Error{Reason::truncated_body, "the coded body is truncated"};
}

}  // namespace streamgate
