#include "worker/documents/json/data_uri.h"

#include <limits>
#include <optional>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/json/json_rewriter.h"
#include "worker/http/base64.h"

namespace streamgate {
namespace {

constexpr std::string_view kScheme = "data:";
constexpr std::string_view kBase64 = ";base64";

// Nullopt if the `data:` URI names no document.
std::optional<std::string> document_of(std::string_view& type, std::string_view text) {
  std::string document = percent_decode(text);
  if (!ascii::iends_with(type, kBase64)) return document;
  type.remove_suffix(kBase64.size());
  return decode_base64(std::string_view(document).substr(0, document.find('=')));
}

}  // namespace

RewrittenDataUri rewrite_data_uri(std::string_view uri, DocumentKind kind,
                                  const DocumentSetting& setting) {
  using Outcome = RewrittenDataUri::Outcome;
  const size_t comma = uri.find(',');
  if (!ascii::istarts_with(uri, kScheme) || comma == uri.npos) return {};
  std::string_view type = uri.substr(kScheme.size(), comma - kScheme.size());
  const auto document = document_of(type, uri.substr(comma + 1));
  if (!document) return {};
  JsonRewriter rewriter(kind, JsonRewriter::Place::data_uri);
  BlockBuffer json;
  rewriter.begin(setting);
  rewriter.write(*document, json, std::numeric_limits<size_t>::max());
  RewrittenDataUri out{Outcome::none, {}, rewriter.costly_bytes()};
  rewriter.finish(json);
  if (rewriter.problem() != nullptr) {
    if (rewriter.is_too_long()) out.outcome = Outcome::too_long;
    return out;
  }
  out.outcome = Outcome::rewritten;
  out.uri.append(kScheme).append(type).append(",");
  percent_encode(json.text(), out.uri);
  return out;
}

}  // namespace streamgate
