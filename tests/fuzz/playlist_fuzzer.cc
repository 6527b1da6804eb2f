// Any bytes as a playlist: the output must not depend on where the chunks end, and a child URL must
// not depend on the references before. The first byte chooses the settings, the second the chunk
// size.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/check.h"
#include "tests/fuzz/detected_kind.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/documents/hls/variables.h"
#include "worker/links/child_url.h"

namespace streamgate {
namespace {

constexpr std::string_view kLinkVariables = "YT0ieCIsYj0iaHR0cHM6Ly9jIiw";  // a="x",b="https://c",

struct Outcome {
  std::string text;
  uint64_t lines_too_long = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome rewrite(PlaylistRewriter& rewriter, const DocumentSetting& setting, std::string_view text,
                size_t chunk) {
  BlockBuffer out;
  rewriter.begin(setting);
  for (size_t at = 0; at < text.size();) {
    at += rewriter.write(text.substr(at, chunk), out, SIZE_MAX);
  }
  rewriter.finish(out);
  return {std::string(out.text()), rewriter.lines_too_long()};
}

// The variables of a link are those that it was made of.
void check_variables(std::string_view text) {
  const Variables variables = Variables::from_list(text);
  const std::string list = variables.to_list();
  CHECK(Variables::from_list(list).to_list() == list);
}

// A child URL must not depend on the references before.
void check_each_alone(const DocumentSetting& setting, std::string_view text) {
  ChildUrlWriter running;
  running.begin(setting);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ChildUrlWriter fresh;
    fresh.begin(setting);
    BlockBuffer one;
    BlockBuffer other;
    CHECK(running.append(line, one) == fresh.append(line, other));
    CHECK(one.text() == other.text());
  }
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
  setting.base_url = (settings & 1) != 0 ? "https://h:8443/a/b/../c//d.m3u8?x=/y" : "http://h";
  setting.proxy_origin = (settings & 2) != 0 ? "https://p" : "";
  setting.route_path = "/stream";
  if ((settings & 4) != 0) setting.same_origin_parameters = "&h_Cookie=c";
  if ((settings & 8) != 0) setting.child_urls = HlsConfig::ChildUrls::named;
  if ((settings & 16) != 0) setting.longest_line = 16;
  if ((settings & 32) != 0) setting.child_urls = HlsConfig::ChildUrls::path;
  if ((settings & 64) != 0) setting.own_carry = "-";
  if ((settings & 128) != 0) {
    setting.segments_are_direct = (bytes[1] & 1) != 0;
    setting.max_height = (bytes[1] & 2) != 0 ? 720 : 0;
    setting.variables = kLinkVariables;
  }

  PlaylistRewriter rewriter;
  const Outcome whole = rewrite(rewriter, setting, text, text.size() + 1);
  CHECK(rewrite(rewriter, setting, text, chunk) == whole);
  rewriter.write(text, *std::make_unique<BlockBuffer>(), SIZE_MAX);  // left unfinished
  CHECK(rewrite(rewriter, setting, text, 1) == whole);

  check_each_alone(setting, text);
  check_variables(text);

  check_kind_is_final(text);
  return 0;
}
