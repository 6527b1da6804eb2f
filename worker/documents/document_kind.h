// The kinds of documents whose links are rewritten.
#pragma once

namespace streamgate {

// none: the body is relayed unchanged.
enum class DocumentKind { none, hls };

}  // namespace streamgate
