// Compressing a rewritten document: the list of 20,000 segments of playlist_bench.cc, and a list of
// 10,000 channels with random names. Append-only, so that numbers stay comparable between
// revisions.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "worker/exchange/document_coder.h"

namespace streamgate {
namespace {

constexpr size_t kPieceBytes = size_t{16} * 1024;
constexpr std::string_view kLink =
    "https://proxy.example.com/stream?url=https%3A%2F%2Fcdn7.example.com%2Fvod%2F2024%2F";

std::string segments() {
  std::string text = "#EXTM3U\n";
  for (int i = 0; i < 20'000; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, 8 - number.size(), '0');
    text += "#EXTINF:6.00600,\n" + std::string(kLink) + "segment_1080p_" + number + ".ts\n";
  }
  return text;
}

std::string channels() {
  std::string text = "#EXTM3U\n";
  uint64_t random = 1;
  const auto next = [&random] {
    random = random * 6364136223846793005U + 1442695040888963407U;
    return std::to_string(random >> 40U);
  };
  for (int i = 0; i < 10'000; ++i) {
    text += "#EXTINF:-1 tvg-id=\"" + next() + ".tv\" tvg-logo=\"http://logo.example/" + next() +
            ".png\" group-title=\"group\",channel " + next() + "\n" + std::string(kLink) + next() +
            ".ts\n";
  }
  return text;
}

void compress(benchmark::State& state, const std::string& text) {
  BlockBuffer piece;
  size_t coded = 0;
  for (auto _ : state) {
    DocumentCoder coder;
    for (size_t at = 0; at < text.size(); at += kPieceBytes) {
      piece.append(std::string_view(text).substr(at, kPieceBytes));
      coder.take(piece, SIZE_MAX);
    }
    coder.finish();
    coded = coder.output().size();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["plain"] = static_cast<double>(text.size());
  state.counters["coded"] = static_cast<double>(coded);
}

void compress_20000_segments(benchmark::State& state) { compress(state, segments()); }
BENCHMARK(compress_20000_segments);

void compress_10000_channels(benchmark::State& state) { compress(state, channels()); }
BENCHMARK(compress_10000_channels);

}  // namespace
}  // namespace streamgate
