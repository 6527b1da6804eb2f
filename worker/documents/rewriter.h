// Rewrites a document of one kind so that the requests which follow from it come back through us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/links/document_setting.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {

// Called once per piece of a body, never per line. A rewriter is used for one document after the
// other and keeps its memory between them.
class DocumentRewriter {
 public:
  virtual ~DocumentRewriter() = default;

  // First call for each document. `setting` stays unchanged until the document ends.
  virtual void begin(const DocumentSetting& setting) = 0;
  // Appends to `out` the text that is final by now.
  virtual void write(std::string_view bytes, BlockBuffer& out) = 0;
  // The upstream's body is complete.
  virtual void finish(BlockBuffer& out) = 0;

  // True if `out` held more than 64 MiB when another link had to be written. Rewriting has stopped
  // then, and the output must not be sent. Each link contains the parameters of the request, so a
  // short document could otherwise take all memory.
  virtual bool has_grown_too_far() const = 0;
  // Lines of this document that passed through unchanged because they exceed longest_line.
  virtual uint64_t lines_too_long() const = 0;
  // The memory that is kept for the next document.
  virtual size_t memory_bytes() const = 0;
};

}  // namespace streamgate
