// Rewrites the JSON documents that playlists lead to (RFC 8216bis appendix D and 7.2; chapters in
// session data). The result is held until the document's end, because it is sent only if all of it
// is well formed. Its members keep their order; blanks between them are left out.
//
//   asset list    ASSETS[].URI; DATERANGES[], with the rules of a playlist (date_range.h), in which
//                 a list may be a `data:` URI
//   steering      RELOAD-URI; PATHWAY-CLONES is left out: players would apply its hosts and
//                 parameters to our links
//   chapters      [].images[].url
#pragma once

#include <memory>
#include <string_view>

#include "worker/documents/document_kind.h"
#include "worker/documents/rewriter.h"
#include "worker/links/child_url.h"

namespace streamgate {

class JsonRewriter final : public DocumentRewriter {
 public:
  static constexpr size_t kMaxBytes = size_t{1024} * 1024;       // of a document
  static constexpr size_t kMaxOutput = size_t{4} * 1024 * 1024;  // of a rewritten one
  static constexpr size_t kMaxDepth = 64;

  // A document in a `data:` URI is rewritten at once, so it has less room. `data:` URIs in it stay:
  // each level would cost the time of all levels in it.
  enum class Place { response, data_uri };
  static constexpr size_t kMaxBytesInUri = size_t{64} * 1024;
  static constexpr size_t kMaxOutputInUri = size_t{256} * 1024;

  // Requires is_json(kind).
  explicit JsonRewriter(DocumentKind kind, Place place = Place::response);
  ~JsonRewriter() override;

  void begin(const DocumentSetting& setting) override;
  size_t write(std::string_view bytes, BlockBuffer& out, size_t max_output) override;
  void finish(BlockBuffer& out) override;

  bool has_grown_too_far() const override { return false; }
  const char* problem() const override { return problem_; }
  // Whether the problem is the length of the document or of the rewritten one.
  bool is_too_long() const { return is_too_long_; }
  uint64_t lines_too_long() const override { return 0; }
  size_t costly_bytes() const override;
  size_t memory_bytes() const override;

 private:
  class Copy;

  const DocumentKind kind_;
  const Place place_;
  ChildUrlWriter children_;
  std::unique_ptr<Copy> copy_;  // from begin() to finish()
  size_t bytes_ = 0;            // of the document so far
  const char* problem_ = nullptr;
  bool is_too_long_ = false;
};

}  // namespace streamgate
