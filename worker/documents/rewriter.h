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
  // Appends to `out` the text that is final by now, and returns how many bytes of `bytes` it took.
  // HLS stops after the line with which `out` reaches `max_output` bytes, or with which the
  // variables of this call reach 64 KiB of text, an MPD after the piece of 4 KiB. JSON, a short
  // multivariant playlist, and one whose variants are limited, are held back until the end of the
  // document.
  virtual size_t write(std::string_view bytes, BlockBuffer& out, size_t max_output) = 0;
  // The upstream's body is complete.
  virtual void finish(BlockBuffer& out) = 0;

  // True if a part has grown by more than its limit: the links and variables of one line, or the
  // links of 4 KiB of an MPD, by 256 KiB; a short multivariant playlist, or the variables of a held
  // one, to 4 MiB; a playlist whose variants are limited to 16 MiB. Rewriting has stopped then and
  // the document must be given up. Links grow by the parameters of their request, so a line of many
  // short links could otherwise take all memory.
  virtual bool has_grown_too_far() const = 0;
  // Why the document cannot be rewritten, as a static text; null if it can. Known after finish() at
  // the latest. The document must be given up.
  virtual const char* problem() const { return nullptr; }
  // Lines of this document that passed through unchanged because they exceed longest_line.
  virtual uint64_t lines_too_long() const = 0;
  // The bytes of this document so far that took much longer than others: about 20 times as long in
  // a channel list (headers, userinfo, hosts in other scripts).
  virtual size_t costly_bytes() const = 0;
  // The memory that is kept for the next document.
  virtual size_t memory_bytes() const = 0;
};

}  // namespace streamgate
