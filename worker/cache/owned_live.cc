// The part of OwnedObject for endless bodies.
#include <utility>

#include "worker/cache/owned_object.h"
#include "worker/http/media_type.h"

namespace streamgate {
namespace {

// If no packets are found in so many first bytes of MPEG-TS, a viewer needs all of it.
constexpr size_t kMaxHeldBytes = size_t{4} * 1024;

enum class Packets { found, none, undecided };

// Looks for four packets in a row. An encrypted segment has two or three sync bytes at that
// distance now and then, and all its bytes between packets would be dropped.
Packets find_packets(std::string_view bytes) {
  constexpr size_t kEnough = 4;
  for (size_t at = bytes.find(kTsSync); at != bytes.npos; at = bytes.find(kTsSync, at + 1)) {
    size_t count = 1;
    size_t next = at + kTsPacket;
    for (; count < kEnough && next < bytes.size() && bytes[next] == kTsSync; next += kTsPacket) {
      ++count;
    }
    if (count == kEnough) return Packets::found;
    if (next >= bytes.size())
      return bytes.size() < kMaxHeldBytes ? Packets::undecided : Packets::none;
  }
  return Packets::none;
}

// If the fetch waits for this many ticks of LiveClock, the upstream is faster than the viewers. A
// burst causes shorter waits.
constexpr unsigned kTicksOfFile = 4;

// After this many ticks without a wait the body is not a file: a viewer of a stream had paused for
// a while. The fetch of a file waits at nearly every tick.
constexpr unsigned kTicksOfStream = 100;

}  // namespace

// The first bytes of the body decide (look_at_first_bytes).
bool OwnedObject::may_be_live(const ResponseHead& head) const {
  return is_answer_ok_ && !find_field(head.fields, "Content-Encoding");
}

void OwnedObject::look_at_first_bytes(std::string_view bytes) {
  held_ += bytes;
  const auto type = extract_media_type(head_->fields).essence;
  LiveFormat format = tools_.keeper.live_format(type, held_);
  if (format == LiveFormat::packets) {
    const Packets packets = find_packets(held_);
    if (packets == Packets::undecided) return;
    if (packets == Packets::none) format = LiveFormat::none;
  }
  if (format == LiveFormat::none) return tools_.keeper.on_unshareable(*this);
  begin_window(format);
}

void OwnedObject::begin_window(LiveFormat format) {
  set_facts();
  // The body has no children.
  facts_->cookies_for_children.clear();
  head_size_ = print_head(*head_, *facts_).size();
  const uint64_t body = live_memory_offset(head_size_) - head_size_ +
                        LiveWindow::memory_size(tools_.config.live_window);
  region_ = tools_.keeper.take_region(head_size_ + body);
  lacks_room_ = !region_;
  if (!region_) return tools_.keeper.on_unshareable(*this);
  room_ = body;
  may_be_live_ = false;
  live_.emplace(seat(), place(),
                tools_.regions.memory_of(*region_) + live_memory_offset(head_size_),
                tools_.config.live_window, format);
  fetch_->relay_into(*this);
  if (fetch_->may_reconnect()) fetch_->reconnect_at_end();
  live_->write(std::exchange(held_, {}));
  last_tick_ms_ = tools_.fetches.wheel.now_ms();
  live_->publish(last_tick_ms_);
  publish(*head_, kUnknownLength);
  seat().set_state(place(), CacheState::growing);
  head_ = nullptr;  // the next body has another connection
  tools_.keeper.on_window(*this);
}

// The body has ended before its first bytes showed its format.
void OwnedObject::end_undecided() {
  tools_.keeper.on_unshareable(*this);
  if (is_handed_over()) successor_->on_end();
}

void OwnedObject::on_next_body() {
  if (live_) live_->begin_next_body();
}

size_t OwnedObject::room() {
  if (!live_) return SIZE_MAX / 2;
  const size_t room = live_->room();
  if (room > 0) return room;
  is_paused_ = true;
  fetch_->pause();
  return 0;
}

void OwnedObject::on_live_tick() {
  if (!is_fetching()) return;
  const int64_t now = tools_.fetches.wheel.now_ms();
  if (unused_since_ms_ != 0) live_->go_on_without_viewers(now - last_tick_ms_);
  last_tick_ms_ = now;
  live_->on_tick(position());
  if (!is_paused_) {
    if (++ticks_flowing_ >= kTicksOfStream) may_be_file_ = false;
    return;
  }
  ticks_flowing_ = 0;
  if (live_->room() == 0) {
    may_be_file_ = may_be_file_ || ++ticks_paused_ >= kTicksOfFile;
    return;
  }
  is_paused_ = false;
  ticks_paused_ = 0;
  const RequestScope scope(&note_);
  fetch_->go_on();
}

bool OwnedObject::has_lingered(int64_t now_ms, int64_t linger_ms) {
  if (unused_since_ms_ == 0) unused_since_ms_ = now_ms;
  return now_ms - unused_since_ms_ >= linger_ms;
}

}  // namespace streamgate
