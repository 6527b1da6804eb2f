#include "worker/exchange/document_coder.h"

#include <algorithm>

namespace streamgate {

void DocumentCoder::take(BlockBuffer& text, size_t most) {
  if (text.size() == 0) return;
  text.offer([this, left = most](evbuffer* buffer) mutable {
    evbuffer_iovec extent;
    while (left > 0 && evbuffer_peek(buffer, -1, nullptr, &extent, 1) > 0) {
      const size_t size = std::min(left, extent.iov_len);
      deflater_.write({static_cast<const char*>(extent.iov_base), size}, output_);
      evbuffer_drain(buffer, size);
      left -= size;
    }
  });
}

}  // namespace streamgate
