// Rewriting manifests of 1 MB: bytes a second of the document.
#include <benchmark/benchmark.h>

#include <string>

#include "worker/documents/dash/mpd_rewriter.h"

namespace {

using namespace streamgate;

constexpr size_t kBytes = size_t{1000} * 1000;
constexpr size_t kPieceBytes = size_t{4} * 1024;  // as DocumentPath offers them

DocumentSetting setting_of_a_request() {
  DocumentSetting setting;
  setting.base_url = "https://cdn.example/live/channel/manifest.mpd";
  setting.proxy_origin = "https://proxy.example";
  setting.route_path = "/stream";
  return setting;
}

// `content` as often as it takes to fill a Period.
std::string manifest_of(const std::string& begin, const std::string& content,
                        const std::string& end) {
  std::string text = "<?xml version=\"1.0\"?>\n<MPD type=\"dynamic\">\n<Period>\n" + begin;
  while (text.size() < kBytes) text += content;
  return text + end + "</Period>\n</MPD>\n";
}

void rewrite(benchmark::State& state, const std::string& text) {
  const DocumentSetting setting = setting_of_a_request();
  MpdRewriter rewriter;
  for (auto _ : state) {
    BlockBuffer out;
    rewriter.begin(setting);
    for (size_t at = 0; at < text.size(); at += kPieceBytes) {
      rewriter.write(std::string_view(text).substr(at, kPieceBytes), out, SIZE_MAX);
    }
    rewriter.finish(out);
    benchmark::DoNotOptimize(out.size());
    if (rewriter.problem() != nullptr) state.SkipWithError("the manifest was refused");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

void manifest_with_timeline(benchmark::State& state) {
  rewrite(state, manifest_of("<SegmentTemplate media=\"$Time$.m4s\"><SegmentTimeline>\n",
                             "        <S t=\"160000180180\" d=\"180180\" r=\"3\"/>\n",
                             "</SegmentTimeline></SegmentTemplate>"));
}
BENCHMARK(manifest_with_timeline);

void manifest_with_segment_list(benchmark::State& state) {
  rewrite(state, manifest_of("<SegmentList>\n",
                             "        <SegmentURL media=\"video/1080p/segment-00000123.m4s\"/>\n",
                             "</SegmentList>"));
}
BENCHMARK(manifest_with_segment_list);

void manifest_with_rooted_segments(benchmark::State& state) {
  rewrite(state, manifest_of("<SegmentList>\n",
                             "        <SegmentURL media=\"/live/video/segment-00000123.m4s\"/>\n",
                             "</SegmentList>"));
}
BENCHMARK(manifest_with_rooted_segments);

}  // namespace
