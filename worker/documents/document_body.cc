#include "worker/documents/document_body.h"

#include <utility>

#include "common/check.h"
#include "worker/documents/hls/playlist_rewriter.h"

namespace streamgate {
namespace {

// The inflated size of one read of coded bytes. Compression makes real playlists 10 to 50 times
// smaller; a factor of 1,000 is an attack on memory.
constexpr size_t kMaxInflatedBytes = size_t{16} * 1024 * 1024;

constexpr size_t kMaxKeptBytes = size_t{256} * 1024;  // of one idle body
constexpr size_t kMaxIdle = 4;

std::unique_ptr<DocumentRewriter> make_rewriter(DocumentKind kind) {
  switch (kind) {
    case DocumentKind::hls:
      return std::make_unique<PlaylistRewriter>();
    case DocumentKind::none:
      break;
  }
  return nullptr;
}

}  // namespace

void DocumentBody::begin(DocumentKind kind, ContentCoding coding) {
  CHECK(coding != ContentCoding::unknown);
  inflater_.reset();
  if (coding != ContentCoding::identity) inflater_.emplace(coding);
  output_.clear();
  if (kind_ != kind) rewriter_ = make_rewriter(kind);
  kind_ = kind;
  CHECK(rewriter_ != nullptr);
  rewriter_->begin(setting_);
}

Result<void> DocumentBody::write(std::string_view bytes) {
  if (inflater_) {
    if (auto inflated = inflate(bytes); !inflated) return inflated;
  } else {
    rewriter_->write(bytes, output_);
  }
  return check_growth();
}

Result<void> DocumentBody::inflate(std::string_view bytes) {
  size_t inflated = 0;
  auto written = inflater_->write(bytes, [&](std::string_view plain) {
    inflated += plain.size();
    if (inflated <= kMaxInflatedBytes) rewriter_->write(plain, output_);
  });
  if (written && inflated > kMaxInflatedBytes) {
    return Error{Reason::bad_response,
                 "a compressed document exceeds the size limit when inflated"};
  }
  return written;
}

Result<void> DocumentBody::finish() {
  if (inflater_) {
    if (auto ended = inflater_->finish(); !ended) return ended;
  }
  rewriter_->finish(output_);
  return check_growth();
}

Result<void> DocumentBody::check_growth() const {
  if (!rewriter_->has_grown_too_far()) return {};
  return Error{Reason::bad_response, "a rewritten document exceeds the size limit"};
}

bool DocumentBody::shrink() {
  inflater_.reset();
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
