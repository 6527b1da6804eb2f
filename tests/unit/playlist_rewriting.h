// Rewrites a playlist for a test, and checks that the result is the same for all pieces.
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>

#include "common/url.h"
#include "worker/documents/rewriter.h"
#include "worker/links/document_setting.h"

namespace streamgate {

inline DocumentSetting setting_for(std::string_view base_url) {
  DocumentSetting setting;
  setting.base_url = base_url;
  setting.proxy_origin = "https://proxy.example";
  setting.route_path = "/stream";
  return setting;
}

// The child URL of an absolute upstream URL.
inline std::string link_to(std::string_view absolute) {
  std::string out = "https://proxy.example/stream?url=";
  percent_encode(absolute, out);
  return out;
}

inline std::string rewritten_in_two(DocumentRewriter& rewriter, const DocumentSetting& setting,
                                    std::string_view text, size_t split) {
  constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
  BlockBuffer out;
  rewriter.begin(setting);
  for (std::string_view piece : {text.substr(0, split), text.substr(split)}) {
    while (!piece.empty()) piece.remove_prefix(rewriter.write(piece, out, kNoLimit));
  }
  rewriter.finish(out);
  return std::string(out.text());
}

// The rewriter is used again for each split.
inline std::string rewritten(DocumentRewriter& rewriter, const DocumentSetting& setting,
                             std::string_view text) {
  std::string whole = rewritten_in_two(rewriter, setting, text, text.size());
  for (size_t split = 0; split < text.size(); ++split) {
    EXPECT_EQ(rewritten_in_two(rewriter, setting, text, split), whole) << "split at " << split;
  }
  return whole;
}

}  // namespace streamgate
