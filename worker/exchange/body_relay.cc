#include "worker/exchange/body_relay.h"

#include <utility>

namespace streamgate {
namespace {

// For shorter bodies copying costs no more than a pipe (measured).
constexpr uint64_t kWorthSplicing = uint64_t{256} * 1024;

// Chunks below kSmallPieceBytes are gathered, up to kMaxGatheredBytes, until the end of the read. A
// system call and a packet for each chunk of a few bytes would cost the worker too much time.
constexpr size_t kSmallPieceBytes = size_t{2} * 1024;
constexpr size_t kMaxGatheredBytes = size_t{16} * 1024;

}  // namespace

void BodyRelay::write(std::string_view bytes) {
  taken_ += bytes.size();
  if (!cutter_) return report(send(bytes));
  const auto [joined, whole] = cutter_->take(bytes);
  Flow flow = joined.empty() ? Flow::open : send(joined);
  if (flow != Flow::gone && !whole.empty()) flow = send(whole);
  report(flow);
}

void BodyRelay::begin_next_body() {
  if (cutter_) cutter_->begin_next_body();
}

BodyPath::Flow BodyRelay::send(std::string_view bytes) {
  if (pieces_ == Pieces::gathered && bytes.size() < kSmallPieceBytes) {
    gathered_ += bytes;
    return gathered_.size() >= kMaxGatheredBytes ? send_gathered() : Flow::open;
  }
  const Flow flow = send_gathered();
  return flow == Flow::gone ? flow : client_.write(bytes);
}

void BodyRelay::flush() { report(send_gathered()); }

void BodyRelay::on_client_drained() {
  if (const Flow flow = drain_pipe(); flow != Flow::open) return report(flow);
  if (finished_) return observer_.on_path_sent();
  observer_.on_path_flow(Flow::open);
}

void BodyRelay::finish() {
  finished_ = true;
  if (cutter_ && !cutter_->finish().empty()) gathered_ += cutter_->finish();
  const Flow flow = send_gathered();
  if (flow == Flow::gone) return report(flow);
  // The stream queues written bytes by itself; bytes in the pipe still have to be spliced.
  if (!holds_bytes()) observer_.on_path_sent();
}

size_t BodyRelay::room() {
  size_t room = holds_bytes() ? 0 : client_.room();
  if (room > 0 && tools_.meter != nullptr) room = tools_.meter->room(room, taken_);
  if (room == 0) observer_.on_path_flow(Flow::full);
  return tools_.socket_memory.limit(room);
}

Pipe* BodyRelay::borrow_pipe(uint64_t left) {
  if (left < kWorthSplicing || cutter_ || !gathered_.empty() || !client_.can_splice())
    return nullptr;
  if (tools_.socket_memory.is_short()) return nullptr;
  if (!pipe_) pipe_ = tools_.pipes.borrow();
  return pipe_.get();
}

void BodyRelay::on_piped() {
  taken_ += pipe_->bytes();
  report(drain_pipe());
}

std::optional<uint64_t> BodyRelay::send_file(const FileBytes& bytes) {
  if (cutter_ || !gathered_.empty() || !client_.can_splice()) return std::nullopt;
  const auto [flow, sent] = client_.send_file(bytes.fd, bytes.offset, bytes.size);
  taken_ += sent;
  report(flow);
  return sent;
}

BodyPath::Flow BodyRelay::drain_pipe() {
  while (holds_bytes()) {
    const auto [flow, bytes] = client_.splice_from(pipe_->read_end(), pipe_->bytes());
    pipe_->taken(bytes);
    if (flow != Flow::open) return flow;
  }
  pipe_.reset();
  return Flow::open;
}

BodyPath::Flow BodyRelay::send_gathered() {
  if (gathered_.empty()) return Flow::open;
  return client_.write(std::exchange(gathered_, {}));
}

// After a write: the socket may not have taken all bytes.
void BodyRelay::report(Flow flow) {
  if (flow == Flow::full && client_.was_refused()) tools_.socket_memory.refused();
  if (flow != Flow::open) observer_.on_path_flow(flow);
}

}  // namespace streamgate
