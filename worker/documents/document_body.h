// The body of one document that is rewritten: decoded if it is coded, converted if it is UTF-16,
// rewritten, and gathered until it is sent.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "worker/documents/document_kind.h"
#include "worker/documents/rewriter.h"
#include "worker/documents/rewritten_texts.h"
#include "worker/documents/utf16.h"
#include "worker/http/decoder.h"
#include "worker/links/document_setting.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {

class DocumentBody {
 public:
  // Fill it in completely before begin(); do not change it until finish(). It still holds the
  // values of the previous document.
  DocumentSetting& setting() { return setting_; }
  // First call for each document. `kind` is not none. `texts`, if not null, has the texts of
  // earlier documents and takes this one; it outlives the document.
  void begin(DocumentKind kind, const ContentCodings& codings, RewrittenTexts* texts = nullptr);

  // The result of one write().
  struct Written {
    size_t taken;  // of the bytes that were offered; offer the others again
    size_t plain;  // bytes that were rewritten
    size_t work;   // the same, with more for bytes that took longer
  };
  // Takes bytes as the upstream sent them. The rewritten text is in output(). Stops when output()
  // reaches `max_output` bytes, which one line or a document that is held may exceed
  // (DocumentRewriter::write), or after 64 KiB of converted text.
  // bad_response if the bytes are not what the coding says or the links of a line grow too far;
  // bad_document if the document cannot be rewritten. output() must not be sent then.
  Result<Written> write(std::string_view bytes, size_t max_output);
  // Converted text waits to be rewritten: call write() again, if need be with no bytes.
  bool has_pending() const;
  // Puts the text of all bytes so far into output(). Before this call, output() stays empty while
  // the bytes are equal to the beginning of a stored document (RewrittenTexts). Fails as write()
  // does.
  Result<void> settle();
  // The upstream's body is complete and nothing is pending. truncated_body if a coded body lacks
  // its end; bad_document as above.
  Result<void> finish();

  BlockBuffer& output() { return output_; }
  // Lines that passed through unchanged because they are too long. Requires begin().
  uint64_t lines_too_long() const { return known_ ? 0 : rewriter_->lines_too_long(); }

  // Frees the memory that the next document does not need. False if more than 256 KiB are left.
  bool shrink();

 private:
  Result<Written> write_new(std::string_view bytes, size_t max_output);
  bool continues_known(std::string_view bytes);
  void record(std::string_view bytes, size_t output_before);
  void store_recorded();
  Result<Written> write_converted(std::string_view bytes, size_t max_output);
  Result<std::string_view> next_plain(std::string_view& left);
  Result<void> check_rewriter() const;

  DocumentSetting setting_;
  std::unique_ptr<Decoder> decoder_;  // null: the body is not coded
  std::optional<Utf16Decoder> utf16_;
  bool is_begun_ = false;   // the first bytes of the text have arrived
  std::string_view plain_;  // the decoder's or utf8_; not rewritten yet
  std::string utf8_;
  BlockBuffer output_;
  DocumentKind kind_ = DocumentKind::none;      // of rewriter_
  std::unique_ptr<DocumentRewriter> rewriter_;  // kept for the next document of its kind

  RewrittenTexts* texts_ = nullptr;             // null: this document is not stored
  std::shared_ptr<const RewrittenText> known_;  // not null: the bytes so far are its beginning
  size_t known_bytes_ = 0;                      // the number of bytes so far
  std::string recorded_;                        // the bytes so far, to be stored
  size_t recorded_output_ = 0;                  // bytes of their text
};

// The document bodies of a worker. Allocating the buffers of a body costs more than rewriting a
// live playlist, so up to four small ones are reused.
class DocumentBodies {
 public:
  RewrittenTexts& texts() { return texts_; }
  std::unique_ptr<DocumentBody> borrow();
  // Null is allowed.
  void give_back(std::unique_ptr<DocumentBody> body);

 private:
  std::vector<std::unique_ptr<DocumentBody>> idle_;
  RewrittenTexts texts_;
};

}  // namespace streamgate
