#include "worker/documents/document_body.h"

#include <utility>

#include "common/check.h"
#include "worker/documents/dash/mpd_rewriter.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/documents/json/json_rewriter.h"

namespace streamgate {
namespace {

// Decoded text that one write() rewrites at most: coded bytes may decode to a thousand times
// their size, and no call may take long.
constexpr size_t kMaxPlainBytes = size_t{64} * 1024;

// The maximum of UTF-16 that is decoded at a time.
constexpr size_t kMaxDecodedBytes = size_t{16} * 1024;

// The weight of DocumentRewriter::costly_bytes(), and how many of them one write() rewrites after a
// conversion.
constexpr size_t kCostlyFactor = 32;
constexpr size_t kMaxCostlyBytes = size_t{8} * 1024;

constexpr size_t kMaxKeptBytes = size_t{256} * 1024;  // of one idle body
constexpr size_t kMaxIdle = 4;

std::unique_ptr<DocumentRewriter> make_rewriter(DocumentKind kind) {
  switch (kind) {
    case DocumentKind::hls:
    case DocumentKind::pls:
      return std::make_unique<PlaylistRewriter>(kind);
    case DocumentKind::mpd:
    case DocumentKind::mpd_patch:
    case DocumentKind::mpd_part:
      return std::make_unique<MpdRewriter>(kind);
    case DocumentKind::asset_list:
    case DocumentKind::steering:
    case DocumentKind::chapters:
      return std::make_unique<JsonRewriter>(kind);
    case DocumentKind::none:
      break;
  }
  return nullptr;
}

}  // namespace

void DocumentBody::begin(DocumentKind kind, const ContentCodings& codings, RewrittenTexts* texts) {
  utf16_.reset();
  is_begun_ = false;
  plain_ = {};
  decoder_ = codings.empty() ? nullptr : make_decoder(codings);
  output_.clear();
  if (kind_ != kind) rewriter_ = make_rewriter(kind);
  kind_ = kind;
  CHECK(rewriter_ != nullptr);
  texts_ = codings.empty() && RewrittenTexts::may_store(setting_) ? texts : nullptr;
  known_ = texts_ != nullptr ? texts_->find(kind, setting_) : nullptr;
  known_bytes_ = recorded_output_ = 0;
  recorded_.clear();
  if (!known_) rewriter_->begin(setting_);
}

Result<DocumentBody::Written> DocumentBody::write(std::string_view bytes, size_t max_output) {
  if (!is_begun_ && !decoder_ && !bytes.empty()) {
    is_begun_ = true;
    if (may_be_utf16(bytes)) utf16_.emplace();
  }
  if (known_) {
    if (continues_known(bytes)) return Written{bytes.size(), bytes.size(), 0};
    if (auto settled = settle(); !settled) return settled.error();
  }
  const size_t output_before = output_.size();
  const auto written = write_new(bytes, max_output);
  if (written && texts_ != nullptr) record(bytes.substr(0, written->taken), output_before);
  return written;
}

bool DocumentBody::continues_known(std::string_view bytes) {
  const auto expected = std::string_view(known_->original).substr(known_bytes_, bytes.size());
  if (utf16_ || bytes != expected) return false;
  known_bytes_ += bytes.size();
  return true;
}

Result<void> DocumentBody::settle() {
  if (!known_) return {};
  const auto known = std::exchange(known_, nullptr);
  rewriter_->begin(setting_);
  std::string_view bytes = std::string_view(known->original).substr(0, known_bytes_);
  // An MPD with many links is taken in several calls.
  while (!bytes.empty()) {
    const auto written = write(bytes, RewrittenText::kMaxBytes);
    if (!written) return written.error();
    CHECK(written->taken > 0);  // the text was shorter when it was stored
    bytes.remove_prefix(written->taken);
  }
  return {};
}

void DocumentBody::record(std::string_view bytes, size_t output_before) {
  recorded_ += bytes;
  recorded_output_ += output_.size() - output_before;
  if (utf16_ || recorded_.size() + recorded_output_ > RewrittenText::kMaxBytes) texts_ = nullptr;
}

// At the end of a document. Stores nothing if a part of its text was handed over before.
void DocumentBody::store_recorded() {
  const bool is_whole = output_.size() == recorded_output_;
  const bool fits = recorded_.size() + recorded_output_ <= RewrittenText::kMaxBytes;
  // settle() rewrites the beginning again in one turn of the loop.
  const bool is_cheap = rewriter_->costly_bytes() <= RewrittenText::kMaxBytes;
  if (!is_whole || !fits || !is_cheap || lines_too_long() > 0) return;
  texts_->store({kind_, setting_, std::exchange(recorded_, {}), std::string(output_.text())});
}

Result<DocumentBody::Written> DocumentBody::write_new(std::string_view bytes, size_t max_output) {
  const size_t costly_before = rewriter_->costly_bytes();
  Result<Written> written = Written{};
  if (decoder_ || utf16_) {
    written = write_converted(bytes, max_output);
  } else {
    const size_t taken = rewriter_->write(bytes, output_, max_output);
    written = Written{taken, taken, taken};
  }
  if (auto usable = check_rewriter(); !usable) return usable.error();
  if (written) written->work += kCostlyFactor * (rewriter_->costly_bytes() - costly_before);
  return written;
}

Result<DocumentBody::Written> DocumentBody::write_converted(std::string_view bytes,
                                                            size_t max_output) {
  std::string_view left = bytes;
  Written written{};
  const size_t costly_before = rewriter_->costly_bytes();
  while (written.plain < kMaxPlainBytes && output_.size() < max_output &&
         rewriter_->costly_bytes() - costly_before < kMaxCostlyBytes) {
    if (plain_.empty()) {
      const auto piece = next_plain(left);
      if (!piece) return piece.error();
      plain_ = *piece;
      if (plain_.empty()) break;
    }
    const size_t taken = rewriter_->write(plain_, output_, max_output);
    plain_.remove_prefix(taken);
    written.plain += taken;
  }
  written.taken = bytes.size() - left.size();
  written.work = written.plain;
  return written;
}

// Takes bytes from `left`. Empty: all bytes are taken and gave no text.
Result<std::string_view> DocumentBody::next_plain(std::string_view& left) {
  for (;;) {
    std::string_view piece = left.substr(0, kMaxDecodedBytes);
    if (decoder_) {
      const auto decoded = decoder_->next(left);
      if (!decoded) return decoded.error();
      piece = *decoded;
    } else {
      left.remove_prefix(piece.size());
    }
    if (piece.empty()) return piece;
    if (!std::exchange(is_begun_, true) && may_be_utf16(piece)) utf16_.emplace();
    if (!utf16_) return piece;
    utf8_.clear();
    utf16_->decode(piece, utf8_);
    if (!utf8_.empty()) return std::string_view(utf8_);
  }
}

bool DocumentBody::has_pending() const {
  return !plain_.empty() || (decoder_ && decoder_->may_have_more());
}

Result<void> DocumentBody::finish() {
  if (decoder_) {
    if (auto ended = decoder_->finish(); !ended) return ended;
  }
  if (known_ && known_bytes_ == known_->original.size()) {
    output_.append(known_->rewritten);
    return {};
  }
  if (auto settled = settle(); !settled) return settled;
  const size_t output_before = output_.size();
  rewriter_->finish(output_);
  auto checked = check_rewriter();
  if (checked && texts_ != nullptr) {
    record({}, output_before);
    if (texts_ != nullptr) store_recorded();
  }
  return checked;
}

Result<void> DocumentBody::check_rewriter() const {
  if (const char* problem = rewriter_->problem()) {
    return Error::for_client(Reason::bad_document, problem);
  }
  if (!rewriter_->has_grown_too_far()) return {};
  return Error{Reason::bad_response, "a rewritten document exceeds the size limit"};
}

bool DocumentBody::shrink() {
  decoder_.reset();
  utf16_.reset();
  plain_ = {};
  utf8_ = {};
  known_ = nullptr;
  recorded_ = {};
  output_.clear();
  return rewriter_ == nullptr || rewriter_->memory_bytes() <= kMaxKeptBytes;
}

std::unique_ptr<DocumentBody> DocumentBodies::borrow() {
  if (idle_.empty()) return std::make_unique<DocumentBody>();
  std::unique_ptr<DocumentBody> body = std::move(idle_.back());
  idle_.pop_back();
  return body;
}

void DocumentBodies::give_back(std::unique_ptr<DocumentBody> body) {
  if (!body || idle_.size() >= kMaxIdle || !body->shrink()) return;
  idle_.push_back(std::move(body));
}

}  // namespace streamgate
