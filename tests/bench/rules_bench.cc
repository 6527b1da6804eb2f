// The cost of each rule of one live-playlist request, without sockets: the part of a request's CPU
// time that is our own code. Look here first when that time grows.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/config.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/exchange/forwarded_request.h"
#include "worker/exchange/relayed_head.h"
#include "worker/fetch/upstream_request.h"
#include "worker/http/request_head_parser.h"
#include "worker/http/response_parser.h"
#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

constexpr std::string_view kTarget =
    "/stream?url=https%3A%2F%2Fcdn.example.com%3A8443%2Flive%2Fchannel-7%2Fmaster.m3u8%3Ftoken%3D"
    "0123456789abcdef";
constexpr std::string_view kUpstreamHead =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Wed, 01 May 2024 12:00:00 GMT\r\n"
    "Content-Type: application/vnd.apple.mpegurl\r\nContent-Length: 1024\r\n"
    "Last-Modified: Wed, 01 May 2024 11:59:58 GMT\r\nConnection: keep-alive\r\n"
    "ETag: \"66323a7e-400\"\r\nAccept-Ranges: bytes\r\n\r\n";
const DocumentSetting kContext{
    .base_url = "https://cdn.example.com:8443/live/channel-7/master.m3u8?token=0123456789abcdef",
    .proxy_origin = "https://proxy.example",
    .route_path = "/stream",
    .same_origin_parameters = {},
    .other_origin_parameters = {}};

std::string request_head() {
  return std::string("GET ").append(kTarget).append(
      " HTTP/1.1\r\nHost: proxy.example\r\nConnection: keep-alive\r\n"
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
      "Chrome/124.0.0.0 Safari/537.36\r\nAccept: */*\r\nOrigin: https://player.example\r\n"
      "Referer: https://player.example/\r\nAccept-Encoding: gzip, deflate, br\r\n"
      "Accept-Language: en-GB,en;q=0.9\r\n\r\n");
}

std::string playlist(int64_t segments) {
  std::string text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n";
  text += "#EXT-X-KEY:METHOD=AES-128,URI=\"https://keys.example.com/channel-7.key\"\n";
  for (int64_t i = 0; i < segments; ++i)
    text += "#EXTINF:6.000,\nmedia/1080p/segment_" + std::to_string(i) + ".ts?token=0123456789\n";
  return text;
}

void parse_request_head(benchmark::State& state) {
  const LimitsConfig limits;
  const std::string head = request_head();
  RequestHeadParser parser(limits);
  for (auto _ : state) {
    parser.reset();
    benchmark::DoNotOptimize(parser.parse(head).has_value());
  }
}
BENCHMARK(parse_request_head);

void read_stream_request(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(parse_stream_request(kTarget).has_value());
}
BENCHMARK(read_stream_request);

void write_upstream_head(benchmark::State& state) {
  const LimitsConfig limits;
  const HostSettings settings;
  const std::string head = request_head();
  RequestHeadParser parser(limits);
  const auto request = parse_stream_request(kTarget);
  if (!parser.parse(head) || !request) return state.SkipWithError("the request is refused");
  for (auto _ : state) {
    const FetchRequest fetched =
        make_fetch_request(request->upstream, request->link, parser.head(), settings.config);
    benchmark::DoNotOptimize(write_upstream_request({fetched.url}, fetched, settings));
  }
}
BENCHMARK(write_upstream_head);

void parse_response_head(benchmark::State& state) {
  ResponseParser parser;
  for (auto _ : state) {
    std::string_view bytes = kUpstreamHead;
    parser.reset(Method::get);
    benchmark::DoNotOptimize(parser.next(bytes).has_value());
  }
}
BENCHMARK(parse_response_head);

void write_client_head(benchmark::State& state) {
  const CorsConfig cors;
  std::string_view bytes = kUpstreamHead;
  ResponseParser parser;
  parser.reset(Method::get);
  if (!parser.next(bytes)) return state.SkipWithError("the response is refused");
  const RelayedResponse relayed{.upstream = parser.head(),
                                .upstream_path = "/live/channel-7/master.m3u8",
                                .is_rewritten = true,
                                .framing = {ClientFraming::Kind::length, 2048}};
  for (auto _ : state) benchmark::DoNotOptimize(write_relayed_head(relayed, cors));
}
BENCHMARK(write_client_head);

// Written in pieces of 64 KiB, as an upstream connection delivers them.
void rewrite_playlist(benchmark::State& state) {
  constexpr size_t kPiece = size_t{64} * 1024;
  const std::string text = playlist(state.range(0));
  BlockBuffer out;
  PlaylistRewriter rewriter;
  for (auto _ : state) {
    out.clear();
    rewriter.begin(kContext);
    for (size_t at = 0; at < text.size(); at += kPiece) {
      rewriter.write(std::string_view(text).substr(at, kPiece), out, SIZE_MAX);
    }
    rewriter.finish(out);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(rewrite_playlist)->Arg(6)->Arg(20'000);

}  // namespace
}  // namespace streamgate
