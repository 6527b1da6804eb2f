#include "worker/cache/live_reader.h"

#include <algorithm>
#include <utility>

#include "worker/cache/live_memory.h"

namespace streamgate {
namespace {

bool has_packets(const LiveMemory& memory) {
  return memory.has_packets.load(std::memory_order_relaxed) != 0;
}

}  // namespace

void LiveReader::attach(SharedObject& object, Begin begin) {
  object_ = &object;
  begin_at_ = begin;
  has_begun_ = has_read_ = is_moved_ = false;
  position_ = 0;
  tables_.clear();
}

// At the newest point; before there is one, at the first byte; if that is gone, at the newest byte.
void LiveReader::begin(const LiveMemory& memory) {
  has_begun_ = true;
  const bool has_first = object_->window_begin() == 0;
  position_ = 0;
  if (has_first && begin_at_ == Begin::first) return;
  const auto point = has_packets(memory) ? newest_start(memory) : std::nullopt;
  if (has_packets(memory) && !point && has_first) return;
  go_to(point);
}

// To the point, or if it is gone or there is none, to the newest byte. Forward in any case: the
// point is not below the window, and position_ is, or nothing has been read. The bytes at a very
// new point may follow in a moment.
void LiveReader::go_to(const std::optional<LivePoint>& point) {
  const uint64_t filled = object_->filled();
  tables_ = point ? point->tables : std::string();
  const bool is_there =
      point && point->position >= object_->window_begin() && point->position % kTsPacket == 0;
  const bool is_newest_packet = point && !is_there;
  position_ = is_there ? point->position : filled;
  if (is_newest_packet) position_ -= position_ % kTsPacket;
  // Before a byte is read: the owner may wait for this viewer.
  object_->note_position(position_);
}

// The bytes at position_ are gone. False if the format has no other point.
bool LiveReader::go_on_at_point(const LiveMemory& memory) {
  if (!has_packets(memory) && has_read_) return false;
  is_moved_ = has_read_;
  go_to(has_packets(memory) ? newest_start(memory) : std::nullopt);
  return true;
}

// Up to the end of the ring; of packets only whole ones, except for the last bytes of the body.
uint64_t LiveReader::next_size(uint64_t most, const Filled& filled,
                               const SharedObject::Live& live) const {
  const uint64_t left = filled.end - position_;
  const uint64_t count =
      std::min({std::max<uint64_t>(most, kTsPacket), left, live.size - position_ % live.size});
  const bool is_last = filled.is_last && count == left;
  return has_packets(*live.memory) && !is_last ? count - count % kTsPacket : count;
}

LiveReader::Piece LiveReader::next(uint64_t most, std::string& scratch) {
  const SharedObject::Live live = object_->live();
  if (live.memory == nullptr) return {Piece::Kind::unreadable};
  const LiveMemory& memory = *live.memory;
  if (!has_begun_) begin(memory);
  constexpr int kMaxMoves = 4;
  for (int moves = 0; moves < kMaxMoves; ++moves) {
    if (position_ < object_->window_begin() && !go_on_at_point(memory)) {
      return {Piece::Kind::behind};
    }
    // In this order: nothing is written after the end.
    const bool has_ended = !object_->is_under_way();
    const Filled filled{object_->filled(), has_ended};
    if (position_ >= filled.end) return {has_ended ? Piece::Kind::over : Piece::Kind::none};
    const uint64_t count = next_size(most, filled, live);
    if (count == 0) return {Piece::Kind::none};
    std::string_view bytes(memory.ring() + position_ % live.size, count);
    if (!object_->is_owned() || !tables_.empty()) {
      scratch = tables_;
      scratch += bytes;
      bytes = scratch;
      // Invariant 2 of LiveMemory.
      std::atomic_thread_fence(std::memory_order_seq_cst);
      if (position_ < object_->window_begin()) continue;
    }
    tables_.clear();
    position_ += count;
    has_read_ = true;
    object_->note_position(position_);
    return {Piece::Kind::bytes, bytes, std::exchange(is_moved_, false)};
  }
  return {Piece::Kind::none};
}

}  // namespace streamgate
