// JSON documents inside playlists, as `data:` URIs (RFC 2397; RFC 8216bis appendix D allows them).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "worker/documents/document_kind.h"
#include "worker/links/document_setting.h"

namespace streamgate {

struct RewrittenDataUri {
  enum class Outcome {
    none,       // the URI is no `data:` URI, or has no document that can be rewritten
    rewritten,  // `uri` has the rewritten document, percent-encoded
    too_long,   // the document, or the rewritten one, is longer than JsonRewriter allows in a URI
  };
  Outcome outcome = Outcome::none;
  std::string uri = {};
  size_t made_bytes = 0;  // of links, also of a document that cannot be rewritten
};

// `data:` URIs in the document stay.
RewrittenDataUri rewrite_data_uri(std::string_view uri, DocumentKind kind,
                                  const DocumentSetting& setting);

}  // namespace streamgate
