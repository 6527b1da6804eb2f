// JSON documents inside playlists, as `data:` URIs (RFC 2397; RFC 8216bis appendix D allows them).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "worker/documents/document_kind.h"
#include "worker/links/document_setting.h"

namespace streamgate {

// `uri` with its document rewritten (json_rewriter.h), percent-encoded. nullopt if it is no `data:`
// URI, or has no document that can be rewritten. `data:` URIs in the document stay.
std::optional<std::string> rewrite_data_uri(std::string_view uri, DocumentKind kind,
                                            const DocumentSetting& setting);

}  // namespace streamgate
