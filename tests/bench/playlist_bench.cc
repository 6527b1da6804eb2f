// The playlist rewriter alone: a long VOD list, a short live list, and the URL work of one request.
// Append-only, so that numbers stay comparable between revisions.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "common/url.h"
#include "worker/documents/hls/playlist_rewriter.h"

namespace streamgate {
namespace {

constexpr size_t kReadBytes = size_t{256} * 1024;  // the largest read from an upstream

DocumentSetting setting_of_a_request() {
  DocumentSetting setting;
  setting.base_url = "https://cdn7.example.com/vod/2024/movie-1234/video/1080p/index.m3u8";
  setting.proxy_origin = "https://proxy.example.com";
  setting.route_path = "/stream";
  return setting;
}

std::string vod_playlist(int segments) {
  std::string text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n";
  for (int i = 0; i < segments; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, 8 - number.size(), '0');
    text += "#EXTINF:6.00600,\nsegment_1080p_5000k_x264_" + number + ".ts\n";
  }
  return text + "#EXT-X-ENDLIST\n";
}

std::string live_playlist() {
  std::string text =
      "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:1841\n"
      "#EXT-X-KEY:METHOD=AES-128,URI=\"https://keys.example.com/k/17?t=a%2Fb\",IV=0x1f\n";
  for (int i = 1841; i < 1847; ++i) text += "#EXTINF:6.006,\nseg" + std::to_string(i) + ".ts\n";
  return text;
}

void rewrite_all(benchmark::State& state, const std::string& text, const DocumentSetting& setting) {
  BlockBuffer out;
  PlaylistRewriter rewriter;
  for (auto _ : state) {
    out.clear();
    rewriter.begin(setting);
    for (size_t at = 0; at < text.size(); at += kReadBytes) {
      rewriter.write(std::string_view(text).substr(at, kReadBytes), out, SIZE_MAX);
    }
    rewriter.finish(out);
    benchmark::DoNotOptimize(out.size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.SetItemsProcessed(state.iterations());
}

void vod_20000_segments(benchmark::State& state) {
  rewrite_all(state, vod_playlist(20000), setting_of_a_request());
}
BENCHMARK(vod_20000_segments);

void vod_20000_segments_with_parameters(benchmark::State& state) {
  DocumentSetting setting = setting_of_a_request();
  setting.same_origin_parameters = "&referer=https%3A%2F%2Fsite.example%2F";
  setting.other_origin_parameters = setting.same_origin_parameters;
  rewrite_all(state, vod_playlist(20000), setting);
}
BENCHMARK(vod_20000_segments_with_parameters);

void live_6_segments_with_key(benchmark::State& state) {
  rewrite_all(state, live_playlist(), setting_of_a_request());
}
BENCHMARK(live_6_segments_with_key);

void parse_http_url_of_a_request(benchmark::State& state) {
  const std::string url = "https://cdn7.example.com/vod/movie-1234/video/1080p/seg17.ts?token=abc";
  for (auto _ : state) benchmark::DoNotOptimize(parse_http_url(url));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(parse_http_url_of_a_request);

void percent_decode_of_a_request(benchmark::State& state) {
  std::string encoded;
  percent_encode("https://cdn7.example.com/vod/movie-1234/video/1080p/seg17.ts?token=abc", encoded);
  for (auto _ : state) benchmark::DoNotOptimize(percent_decode(encoded));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(percent_decode_of_a_request);

}  // namespace
}  // namespace streamgate
