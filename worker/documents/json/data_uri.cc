#include "worker/documents/json/data_uri.h"

#include <limits>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/json/json_rewriter.h"
#include "worker/http/base64.h"

namespace streamgate {
namespace {

constexpr std::string_view kScheme = "data:";
constexpr std::string_view kBase64 = ";base64";

std::optional<std::string> rewrite_json(std::string_view text, DocumentKind kind,
                                        const DocumentSetting& setting) {
  JsonRewriter rewriter(kind, JsonRewriter::DataUris::kept);
  BlockBuffer out;
  rewriter.begin(setting);
  rewriter.write(text, out, std::numeric_limits<size_t>::max());
  rewriter.finish(out);
  if (rewriter.problem() != nullptr) return std::nullopt;
  return std::string(out.text());
}

}  // namespace

std::optional<std::string> rewrite_data_uri(std::string_view uri, DocumentKind kind,
                                            const DocumentSetting& setting) {
  const size_t comma = uri.find(',');
  if (!ascii::istarts_with(uri, kScheme) || comma == uri.npos) return std::nullopt;
  std::string_view type = uri.substr(kScheme.size(), comma - kScheme.size());
  std::string document = percent_decode(uri.substr(comma + 1));
  if (ascii::iends_with(type, kBase64)) {
    type.remove_suffix(kBase64.size());
    auto decoded = decode_base64(std::string_view(document).substr(0, document.find('=')));
    if (!decoded) return std::nullopt;
    document = *std::move(decoded);
  }
  const auto json = rewrite_json(document, kind, setting);
  if (!json) return std::nullopt;
  std::string out = std::string(kScheme).append(type).append(",");
  percent_encode(*json, out);
  return out;
}

}  // namespace streamgate
