#include "worker/cache/live_reader.h"

#include <algorithm>
#include <utility>

#include "worker/cache/live_memory.h"

namespace streamgate {

void LiveReader::attach(SharedObject& object, Begin begin) {
  object_ = &object;
  begin_at_ = begin;
  has_begun_ = is_moved_ = false;
  position_ = 0;
  tables_.clear();
}

// At the newest point; before there is one, at the first byte; if that is gone, at the newest byte.
void LiveReader::begin(const LiveMemory& memory) {
  has_begun_ = true;
  const bool has_packets = memory.has_packets.load(std::memory_order_relaxed) != 0;
  const bool has_first = object_->window_begin() == 0;
  position_ = 0;
  if (has_first && begin_at_ == Begin::first) return;
  const auto point = has_packets ? newest_start(memory) : std::nullopt;
  if (has_packets && !point && has_first) return;
  go_to(point);
}

// To the point, or if it is gone or there is none, to the newest byte.
void LiveReader::go_to(const std::optional<LivePoint>& point) {
  const uint64_t filled = object_->filled();
  if (point) tables_ = point->tables;
  const bool is_there = point && point->position >= object_->window_begin() &&
                        point->position <= filled && point->position % kTsPacket == 0;
  const bool is_newest_packet = point && !is_there;
  position_ = is_there ? point->position : filled;
  if (is_newest_packet) position_ -= position_ % kTsPacket;
}

LiveReader::Piece LiveReader::take_tables() {
  sent_tables_ = std::exchange(tables_, {});
  return {Piece::Kind::bytes, sent_tables_, std::exchange(is_moved_, false)};
}

LiveReader::Piece LiveReader::next(uint64_t most, std::string& scratch) {
  const auto memory = object_->live_memory();
  if (memory == nullptr) return {Piece::Kind::unreadable};
  const bool has_packets = memory->has_packets.load(std::memory_order_relaxed) != 0;
  const bool has_ended = !object_->is_under_way();
  const uint64_t filled = object_->filled();
  if (!has_begun_) begin(*memory);
  constexpr int kMaxMoves = 4;
  for (int moves = 0; moves < kMaxMoves; ++moves) {
    if (position_ < object_->window_begin()) {
      if (!has_packets) return {Piece::Kind::behind};
      is_moved_ = true;
      go_to(newest_start(*memory));
    }
    if (!tables_.empty()) return take_tables();
    if (position_ >= filled) return {has_ended ? Piece::Kind::over : Piece::Kind::none};
    const uint64_t size = object_->window();
    const uint64_t at = position_ % size;
    uint64_t count = std::min({most, filled - position_, size - at});
    if (has_packets && !(has_ended && count == filled - position_)) count -= count % kTsPacket;
    if (count == 0) return {Piece::Kind::none};
    std::string_view bytes(memory->ring() + at, count);
    if (!object_->is_owned()) {
      scratch.assign(bytes);
      bytes = scratch;
      std::atomic_thread_fence(std::memory_order_seq_cst);
      // The owner has overwritten it meanwhile.
      if (position_ < object_->window_begin()) continue;
    }
    position_ += count;
    object_->note_position(position_);
    return {Piece::Kind::bytes, bytes, std::exchange(is_moved_, false)};
  }
  return {Piece::Kind::none};
}

}  // namespace streamgate
