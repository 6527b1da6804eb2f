// Extracts the facts about a playlist for the report, and compares it with its rewritten form.
// Pure.
#pragma once

#include <string_view>

#include "worker/documents/hls/variant_filter.h"
#include "worker/explain/report.h"

namespace streamgate {

// `text` is the playlist in UTF-8 without a content coding, `rewritten` the output of the rewriter.
// Both may be truncated at the same place. The variants are those within `limits`, by which
// `rewritten` has been filtered.
ExplainedPlaylist playlist_facts(std::string_view text, std::string_view rewritten,
                                 const VariantLimits& limits);

}  // namespace streamgate
