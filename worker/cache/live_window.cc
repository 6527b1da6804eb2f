#include "worker/cache/live_window.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace streamgate {
namespace {

// More than the rate of any channel, and far less than the rate of a server that sends a file.
constexpr uint64_t kBytesPerMsWithoutViewers = 10'000;

// Less room than this counts as none: a read of a few bytes costs as much as a large one.
constexpr uint64_t kMinRoomBytes = uint64_t{4} * 1024;

}  // namespace

LiveWindow::LiveWindow(CacheSeat& seat, const CacheSeat::Object& place, char* memory,
                       uint64_t window, LiveFormat format)
    : seat_(seat),
      place_(place),
      memory_(*new (memory) LiveMemory),
      size_(ring_size(window)),
      format_(format) {
  memory_.has_packets.store(format == LiveFormat::packets ? 1 : 0, std::memory_order_relaxed);
  seat_.set_begin(place_, 0);
  seat_.set_window(place_, size_);
}

void LiveWindow::write(std::string_view bytes) {
  if (format_ != LiveFormat::packets) return put(bytes);
  while (!bytes.empty()) {
    const auto [first, second] = packets_.take(bytes);
    write_packets(first);
    write_packets(second);
  }
}

void LiveWindow::write_packets(std::string_view run) {
  const uint64_t position = filled_;
  put(run);
  for (size_t at = 0; at < run.size(); at += kTsPacket) {
    const auto point = points_.take(run.substr(at, kTsPacket), position + at);
    if (point) add_start(*point, points_.tables(), memory_);
  }
}

void LiveWindow::put(std::string_view bytes) {
  while (!bytes.empty()) {
    const uint64_t at = filled_ % size_;
    const std::string_view part = bytes.substr(0, size_ - at);
    if (filled_ + part.size() > begin_ + size_) {
      begin_ = filled_ + part.size() - size_;
      seat_.set_begin(place_, begin_);
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    std::memcpy(memory_.ring() + at, part.data(), part.size());
    filled_ += part.size();
    bytes.remove_prefix(part.size());
  }
}

void LiveWindow::publish(int64_t now_ms) {
  memory_.written_ms.store(now_ms, std::memory_order_relaxed);
  seat_.set_filled(place_, filled_);
}

void LiveWindow::begin_next_body() {
  packets_.begin_next_body();
  points_.begin_next_body();
}

void LiveWindow::finish(int64_t now_ms) {
  put(packets_.rest());
  publish(now_ms);
}

size_t LiveWindow::room() const {
  const uint64_t limit = fastest_ + size_ / 4;
  return limit < filled_ + kMinRoomBytes ? 0 : limit - filled_;
}

void LiveWindow::on_tick(uint64_t position) {
  const uint64_t others = seat_.first_position_of_others(place_);
  fastest_ = std::clamp(std::max(position, others), fastest_, filled_);
}

void LiveWindow::go_on_without_viewers(int64_t ms) {
  const uint64_t more = static_cast<uint64_t>(std::max<int64_t>(ms, 0)) * kBytesPerMsWithoutViewers;
  fastest_ = std::min(filled_, fastest_ + more);
}

}  // namespace streamgate
