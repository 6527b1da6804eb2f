#include "worker/http/decoder.h"

#include <array>

#include "common/check.h"
#include "worker/http/brotli_decoder.h"
#include "worker/http/inflater.h"
#include "worker/http/zstd_decoder.h"

namespace streamgate {
namespace {

// Pieces that one next() of a chain decodes for its inner codings. They may decode to nothing.
constexpr size_t kMaxInnerPieces = 2;

std::unique_ptr<Decoder> make_stage(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::gzip:
    case ContentCoding::deflate:
      return std::make_unique<Inflater>(coding);
    case ContentCoding::brotli:
      return std::make_unique<BrotliDecoder>();
    case ContentCoding::zstd:
      return std::make_unique<ZstdDecoder>();
    case ContentCoding::identity:
      break;
  }
  CHECK(false);
  return nullptr;
}

// Several codings. The last one that was applied is decoded first.
class DecoderChain final : public Decoder {
 public:
  explicit DecoderChain(std::span<const ContentCoding> codings) : size_(codings.size()) {
    for (size_t i = 0; i < size_; ++i) {
      stages_[i].decoder = make_stage(codings[size_ - 1 - i]);
    }
  }

  Result<std::string_view> next(std::string_view& bytes) override {
    size_t pieces_left = kMaxInnerPieces;
    return pull(size_ - 1, bytes, pieces_left);
  }

  bool may_have_more() const override {
    for (size_t i = 0; i < size_; ++i) {
      if (!stages_[i].input.empty() || stages_[i].decoder->may_have_more()) return true;
    }
    return false;
  }

  Result<void> finish() override {
    for (size_t i = 0; i < size_; ++i) {
      if (auto ended = stages_[i].decoder->finish(); !ended) return ended;
    }
    return {};
  }

 private:
  struct Stage {
    std::unique_ptr<Decoder> decoder;
    std::string_view input;  // of the stage before; not decoded yet
  };

  Result<std::string_view> pull(size_t index, std::string_view& bytes, size_t& pieces_left) {
    Stage& stage = stages_[index];
    if (index == 0) return stage.decoder->next(bytes);
    while (true) {
      const auto piece = stage.decoder->next(stage.input);
      if (!piece || !piece->empty()) return piece;
      if (pieces_left == 0) return std::string_view();
      --pieces_left;
      const auto input = pull(index - 1, bytes, pieces_left);
      if (!input || input->empty()) return input;
      stage.input = *input;
    }
  }

  std::array<Stage, ContentCodings::kMaxCodings> stages_;
  const size_t size_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const ContentCodings& codings) {
  CHECK(!codings.empty());
  if (codings.list().size() == 1) return make_stage(codings.list().front());
  return std::make_unique<DecoderChain>(codings.list());
}

}  // namespace streamgate
