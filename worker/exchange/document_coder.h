// The gzip-coded form of one document that is rewritten. Made only for a document that is long
// enough, for a client that accepts it.
#pragma once

#include "worker/http/deflater.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {

class DocumentCoder {
 public:
  // Codes the first `most` bytes of the text, and removes them.
  void take(BlockBuffer& text, size_t most);
  // After flush() a client that gets output() can decode all the text that was taken.
  void flush() { deflater_.flush(output_); }
  // The text is complete.
  void finish() { deflater_.finish(output_); }

  BlockBuffer& output() { return output_; }

 private:
  Deflater deflater_;
  BlockBuffer output_;
};

}  // namespace streamgate
