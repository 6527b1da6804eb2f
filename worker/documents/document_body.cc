#include "worker/documents/document_body.h"

#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// What one read of coded bytes may grow to. Real playlists shrink to a tenth or a fiftieth; a
// thousandth is an attack on memory.
constexpr size_t kMostInflatedBytes = size_t{16} * 1024 * 1024;

constexpr size_t kMostKeptBytes = size_t{256} * 1024;  // of one body that is done
constexpr size_t kMostIdle = 4;

PlaylistContext context_of(const PlaylistSetting& setting) {
  PlaylistContext context;
  context.base_url = setting.base_url;
  context.proxy_origin = setting.proxy_origin;
  context.route_path = setting.route_path;
  context.child_parameters = setting.child_parameters;
  context.cross_origin_child_parameters = setting.cross_origin_child_parameters;
  context.child_urls = setting.child_urls;
  context.longest_line = setting.longest_line;
  return context;
}

}  // namespace

void PlaylistBody::begin(ContentCoding coding) {
  CHECK(coding != ContentCoding::unknown);
  inflater_.reset();
  if (coding != ContentCoding::identity) inflater_.emplace(coding);
  output_.clear();
  rewriter_.begin(context_of(setting_));
}

Result<void> PlaylistBody::write(std::string_view bytes) {
  if (inflater_) {
    if (auto inflated = inflate(bytes); !inflated) return inflated;
  } else {
    rewriter_.write(bytes, output_);
  }
  return check_growth();
}

Result<void> PlaylistBody::inflate(std::string_view bytes) {
  size_t inflated = 0;
  auto written = inflater_->write(bytes, [&](std::string_view plain) {
    inflated += plain.size();
    if (inflated <= kMostInflatedBytes) rewriter_.write(plain, output_);
  });
  if (written && inflated > kMostInflatedBytes) {
    return Error{Reason::bad_response, "a compressed playlist inflates too far"};
  }
  return written;
}

Result<void> PlaylistBody::finish() {
  if (inflater_) {
    if (auto ended = inflater_->finish(); !ended) return ended;
  }
  rewriter_.finish(output_);
  return check_growth();
}

Result<void> PlaylistBody::check_growth() const {
  if (!rewriter_.has_grown_too_far()) return {};
  return Error{Reason::bad_response, "a playlist grows too far"};
}

bool PlaylistBody::put_aside() {
  inflater_.reset();
  output_.clear();
  return rewriter_.memory_bytes() <= kMostKeptBytes;
}

std::unique_ptr<PlaylistBody> PlaylistBodies::lend() {
  if (idle_.empty()) return std::make_unique<PlaylistBody>();
  std::unique_ptr<PlaylistBody> body = std::move(idle_.back());
  idle_.pop_back();
  return body;
}

void PlaylistBodies::give_back(std::unique_ptr<PlaylistBody> body) {
  if (!body || idle_.size() >= kMostIdle || !body->put_aside()) return;
  idle_.push_back(std::move(body));
}

}  // namespace streamgate
