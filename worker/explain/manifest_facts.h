// Extracts the facts about a DASH manifest for the report, and compares it with its rewritten form.
// Pure.
#pragma once

#include <optional>
#include <string_view>

#include "worker/explain/report.h"

namespace streamgate {

// `text` is the manifest in UTF-8 without a content coding, `rewritten` the output of the rewriter.
// Both may be truncated; the first kMaxManifestBytes of each are read, because a worker that serves
// players does this. Empty if the manifest is not well-formed.
std::optional<ExplainedManifest> manifest_facts(std::string_view text, std::string_view rewritten);

}  // namespace streamgate
