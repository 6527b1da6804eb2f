// Short documents as they were rewritten last, so that the viewers of a live playlist share one
// rewriting. A text is used again only for a document with the same bytes and the same settings.
// It is therefore the text that the client would get from a rewriting of its own.
//
// One worker; no locks. Bounded: 32 texts, each with its original at most 64 KiB, and the settings
// of each, whose parameters are as long as a request line allows.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "worker/documents/document_kind.h"
#include "worker/links/document_setting.h"

namespace streamgate {

struct RewrittenText {
  static constexpr size_t kMaxBytes = size_t{64} * 1024;  // of both

  DocumentKind kind;
  DocumentSetting setting;
  std::string original;
  std::string rewritten;
};

class RewrittenTexts {
 public:
  // Whether texts with this setting may be stored. Grants differ for each client and each second.
  static bool may_store(const DocumentSetting& setting) { return setting.access == nullptr; }

  // The last text with this kind and setting; null if there is none. Its original may differ.
  std::shared_ptr<const RewrittenText> find(DocumentKind kind,
                                            const DocumentSetting& setting) const;
  // Replaces a text of the same URL, and perhaps one of another.
  void store(RewrittenText text);

 private:
  using Slots = std::array<std::shared_ptr<const RewrittenText>, 32>;

  static size_t slot_of(const std::string& base_url);

  Slots slots_;
};

}  // namespace streamgate
