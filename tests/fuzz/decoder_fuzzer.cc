// The decoded text must not depend on how the network splits the coded bytes, and no piece may
// exceed its bound. The first byte of the input chooses the codings.
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "common/check.h"
#include "worker/http/decoder.h"

namespace {

using streamgate::ContentCodings;
using streamgate::Decoder;

constexpr size_t kMaxText = size_t{4} * 1024 * 1024;
constexpr std::string_view kValues[] = {"gzip",     "deflate",          "br", "zstd", "gzip, gzip",
                                        "zstd, br", "br, gzip, deflate"};

struct Outcome {
  std::string text;
  bool failed = false;  // also a truncated body
  bool is_cut = false;  // longer than kMaxText
};

Outcome decode(const ContentCodings& codings, std::string_view bytes, size_t step) {
  const auto decoder = streamgate::make_decoder(codings);
  Outcome outcome;
  while (!bytes.empty()) {
    std::string_view left = bytes.substr(0, step);
    bytes.remove_prefix(left.size());
    while (!left.empty() || decoder->may_have_more()) {
      const auto piece = decoder->next(left);
      outcome.failed = !piece;
      if (outcome.failed) return outcome;
      CHECK(piece->size() <= Decoder::kPieceBytes);
      outcome.text += *piece;
      outcome.is_cut = outcome.text.size() > kMaxText;
      if (outcome.is_cut) return outcome;
    }
  }
  outcome.failed = !decoder->finish();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ContentCodings codings = streamgate::parse_content_codings(
      {{"Content-Encoding", kValues[data[0] % std::size(kValues)]}});
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = decode(codings, bytes, bytes.size());
  const Outcome split = decode(codings, bytes, 1);
  if (whole.is_cut || split.is_cut) return 0;
  CHECK(whole.failed == split.failed);
  CHECK(whole.failed || whole.text == split.text);
  return 0;
}
