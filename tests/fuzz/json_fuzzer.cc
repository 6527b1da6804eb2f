// Any bytes as a JSON document: the output must not depend on where the chunks end, is JSON itself,
// and stays the same when it is rewritten again. The first byte chooses the kind and the chunk
// size.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/check.h"
#include "worker/documents/json/json_rewriter.h"

namespace streamgate {
namespace {

constexpr DocumentKind kKinds[] = {DocumentKind::asset_list, DocumentKind::steering,
                                   DocumentKind::chapters};

// nullopt: refused.
std::optional<std::string> rewrite(JsonRewriter& rewriter, std::string_view text, size_t chunk) {
  DocumentSetting setting;
  setting.base_url = "https://h:8443/a/b/list.json?x=/y";
  setting.proxy_origin = "https://p";
  setting.route_path = "/stream";
  setting.same_origin_parameters = "&h_Cookie=c";
  BlockBuffer out;
  rewriter.begin(setting);
  for (size_t at = 0; at < text.size(); at += chunk) {
    rewriter.write(text.substr(at, chunk), out, SIZE_MAX);
  }
  CHECK(out.size() == 0);
  rewriter.finish(out);
  if (rewriter.problem() == nullptr) return std::string(out.text());
  CHECK(out.size() == 0);
  return std::nullopt;
}

}  // namespace
}  // namespace streamgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace streamgate;
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  JsonRewriter rewriter(kKinds[bytes[0] % 3]);
  const auto whole = rewrite(rewriter, text, text.size() + 1);
  CHECK(rewrite(rewriter, text, size_t{1} + bytes[0] / 3) == whole);
  // nlohmann also refuses numbers that do not fit, has no limits, and takes NUL for the end.
  if (text.find('\0') == text.npos && nlohmann::ordered_json::accept(text)) {
    const std::string_view problem = whole ? "" : rewriter.problem();
    CHECK(problem != "not well-formed JSON");
    if (whole) CHECK(nlohmann::ordered_json::accept(*whole));
  }
  if (!whole) return 0;
  CHECK(rewrite(rewriter, *whole, whole->size() + 1) == whole);
  return 0;
}
