#include "worker/exchange/body_relay.h"

#include <utility>

namespace streamgate {
namespace {

// With less to come, copying costs no more (measured).
constexpr uint64_t kWorthSplicing = uint64_t{256} * 1024;

// Chunks below this size leave together, up to so many bytes, with the read that they came in. A
// system call and a packet for each chunk of a few bytes would keep the worker from its others.
constexpr size_t kSmallPieceBytes = size_t{2} * 1024;
constexpr size_t kMostGatheredBytes = size_t{16} * 1024;

}  // namespace

size_t BodyRelay::room() { return holds_bytes() ? 0 : client_.room(); }

Pipe* BodyRelay::lend_pipe(uint64_t left) {
  if (left < kWorthSplicing || !gathered_.empty() || !client_.can_splice()) return nullptr;
  if (!pipe_) pipe_ = pipes_.borrow();
  return pipe_.get();
}

BodyRelay::Flow BodyRelay::take_pipe() {
  taken_ += pipe_->bytes();
  return drain_pipe();
}

BodyRelay::Flow BodyRelay::drain_pipe() {
  while (holds_bytes()) {
    const auto [flow, bytes] = client_.splice_from(pipe_->read_end(), pipe_->bytes());
    pipe_->taken(bytes);
    if (flow != Flow::open) return flow;
  }
  pipe_.reset();
  return Flow::open;
}

BodyRelay::Flow BodyRelay::write(std::string_view bytes, bool gather) {
  taken_ += bytes.size();
  if (gather && bytes.size() < kSmallPieceBytes) {
    gathered_ += bytes;
    return gathered_.size() < kMostGatheredBytes ? Flow::open : flush();
  }
  if (!gathered_.empty() && flush() == Flow::gone) return Flow::gone;
  return client_.write(bytes);
}

BodyRelay::Flow BodyRelay::flush() {
  if (gathered_.empty()) return Flow::open;
  return client_.write(std::exchange(gathered_, {}));
}

}  // namespace streamgate
