#include "worker/exchange/document_coder.h"

namespace streamgate {

void DocumentCoder::take(BlockBuffer& text) {
  if (text.size() == 0) return;
  text.hand_over([this](evbuffer* buffer) {
    evbuffer_iovec extent;
    while (evbuffer_peek(buffer, -1, nullptr, &extent, 1) > 0) {
      deflater_.write({static_cast<const char*>(extent.iov_base), extent.iov_len}, output_);
      evbuffer_drain(buffer, extent.iov_len);
    }
    return true;
  });
}

}  // namespace streamgate
