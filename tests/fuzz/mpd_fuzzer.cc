// Any bytes as an MPD, a patch of one or a part of one: the output must not depend on where the
// chunks end. The first byte chooses the settings, the second the chunk size.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "tests/fuzz/detected_kind.h"
#include "worker/documents/dash/mpd_rewriter.h"

namespace streamgate {
namespace {

struct Outcome {
  std::string text;
  bool is_refused = false;
  bool operator==(const Outcome&) const = default;
};

Outcome rewrite(MpdRewriter& rewriter, const DocumentSetting& setting, std::string_view text,
                size_t chunk) {
  BlockBuffer out;
  rewriter.begin(setting);
  const auto is_refused = [&] {
    return rewriter.problem() != nullptr || rewriter.has_grown_too_far();
  };
  for (size_t at = 0; at < text.size() && !is_refused();) {
    at += rewriter.write(text.substr(at, chunk), out, 4096);
  }
  if (!is_refused()) rewriter.finish(out);
  if (is_refused()) return {{}, true};
  return {std::string(out.text()), false};
}

}  // namespace
}  // namespace streamgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace streamgate;
  if (size < 2) return 0;
  const unsigned settings = bytes[0];
  const size_t chunk = size_t{1} + bytes[1];
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 2, size - 2);

  DocumentSetting setting;
  setting.base_url = (settings & 1) != 0 ? "https://h:8443/a/b//d.mpd?x=/y" : "http://h/";
  setting.proxy_origin = (settings & 2) != 0 ? "https://p" : "";
  setting.route_path = "/stream";
  if ((settings & 4) != 0) setting.same_origin_parameters = "&h_Cookie=c";
  // `https://m/x/m.mpd http://c/v/`
  if ((settings & 32) != 0) setting.variables = "aHR0cHM6Ly9tL3gvbS5tcGQgaHR0cDovL2Mvdi8";

  constexpr DocumentKind kKinds[] = {DocumentKind::mpd, DocumentKind::mpd_patch,
                                     DocumentKind::mpd_part, DocumentKind::mpd};
  MpdRewriter rewriter(kKinds[(settings >> 3) & 3]);
  const Outcome whole = rewrite(rewriter, setting, text, text.size() + 1);
  CHECK(rewrite(rewriter, setting, text, chunk) == whole);
  CHECK(rewrite(rewriter, setting, text, 1) == whole);

  check_kind_is_final(text);
  return 0;
}
