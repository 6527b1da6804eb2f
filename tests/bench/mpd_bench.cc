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

// Declares this many prefixes, the last of which is `cenc`.
std::string with_namespaces(std::string text, int count) {
  std::string declared = " xmlns=\"urn:mpeg:dash:schema:mpd:2011\"";
  for (int i = 1; i < count; ++i) {
    const std::string number = std::to_string(i);
    declared += " xmlns:p" + number + "=\"urn:example:" + number + "\"";
  }
  if (count > 0) declared += " xmlns:cenc=\"urn:mpeg:cenc:2013\"";
  return text.insert(text.find("<MPD") + 4, declared);
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

void manifest_with_absolute_segments(benchmark::State& state) {
  rewrite(state,
          manifest_of("<SegmentList>\n",
                      "        <SegmentURL media=\"https://cdn.example/v/segment-0123.m4s\"/>\n",
                      "</SegmentList>"));
}
BENCHMARK(manifest_with_absolute_segments);

// Each with a template and two representations; no runs of segments. `namespaces`: 0: none.
void manifest_with_adaptation_sets(benchmark::State& state, const std::string& prefix,
                                   int namespaces = 0) {
  const std::string element =
      "  <AdaptationSet id=\"1\" contentType=\"video\" segmentAlignment=\"true\">\n"
      "    <SegmentTemplate timescale=\"90000\" duration=\"180180\" media=\"" +
      prefix + "$RepresentationID$/$Number$.m4s\" initialization=\"" + prefix +
      "$RepresentationID$/init.mp4\"/>\n"
      "    <Representation id=\"v1\" bandwidth=\"2500000\" codecs=\"avc1.64001f\" width=\"1280\" "
      "height=\"720\" frameRate=\"25\" mimeType=\"video/mp4\"/>\n"
      "    <Representation id=\"v2\" bandwidth=\"5500000\" codecs=\"avc1.640028\" width=\"1920\" "
      "height=\"1080\" frameRate=\"25\" mimeType=\"video/mp4\"/>\n"
      "  </AdaptationSet>\n";
  const std::string text = manifest_of("", element, "");
  rewrite(state, namespaces == 0 ? text : with_namespaces(text, namespaces));
}
BENCHMARK_CAPTURE(manifest_with_adaptation_sets, relative, "");
BENCHMARK_CAPTURE(manifest_with_adaptation_sets, rooted, "/live/");
BENCHMARK_CAPTURE(manifest_with_adaptation_sets, rooted_and_62_prefixes, "/live/", 62);

// Each with the protection of three systems: no runs of segments, and prefixes to look up.
void manifest_with_protection(benchmark::State& state, int namespaces) {
  const std::string element =
      "    <ContentProtection schemeIdUri=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\">\n"
      "      <cenc:pssh>AAAAW3Bzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAADsIARIQ</cenc:pssh>\n"
      "    </ContentProtection>\n";
  rewrite(state, with_namespaces(manifest_of("", element, ""), namespaces));
}
BENCHMARK_CAPTURE(manifest_with_protection, one_prefix, 1);
BENCHMARK_CAPTURE(manifest_with_protection, 62_prefixes, 62);

}  // namespace
