// Detects the kind of a document. The first bytes decide, in UTF-8 or in UTF-16 with a byte order
// mark: `#EXTM3U`, or XML whose root element is MPD. Content type and path count only if the body
// starts with neither, or its root element comes after the first kSniffBytes, without a claim after
// the first kPrologBytes. If one of them names a playlist or text, the header may follow other text
// in the first line, or lines of markup that do not begin an HTML document.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "worker/documents/document_kind.h"

namespace streamgate {

constexpr size_t kSniffBytes = 1024;
// The same for the prolog of XML: a manifest may begin with a licence of some KiB.
constexpr size_t kPrologBytes = size_t{16} * 1024;

// The kind that an answer claims by its content type (parameters are ignored) or by the extension
// of its path, both in any letter case. An answer without a body has no other sign of its kind.
DocumentKind claimed_kind(std::string_view content_type, std::string_view path);

// `first_bytes` is the beginning of the body, without its content coding. `complete` says that no
// more bytes follow. nullopt: more bytes are needed, which happens only below kSniffBytes bytes of
// an incomplete body, or below kPrologBytes of one that begins with a prolog of XML.
std::optional<DocumentKind> detect_kind(std::string_view content_type, std::string_view path,
                                        std::string_view first_bytes, bool complete);

// Whether the first bytes have a control byte, which no playlist has.
bool looks_binary(std::string_view first_bytes);

}  // namespace streamgate
