#include "worker/cache/shared_object.h"

#include <algorithm>
#include <utility>

#include "worker/cache/live_memory.h"

namespace streamgate {

std::shared_ptr<const StoredHead> SharedObject::head() {
  if (head_ != nullptr) return head_;
  const uint64_t size = row().head_size.load(std::memory_order_relaxed);
  const char* text = seat_.bytes_of(place_, row().offset.load(std::memory_order_relaxed), size);
  if (text != nullptr) head_ = parse_head({text, size});
  return head_;
}

Error SharedObject::failure() {
  const uint64_t reason = row().reason.load(std::memory_order_relaxed);
  if (reason > 0 && reason <= kReasonCount) {
    return {static_cast<Reason>(reason - 1), "the shared fetch failed"};
  }
  const uint64_t size = row().head_size.load(std::memory_order_relaxed);
  const char* text = seat_.bytes_of(place_, row().offset.load(std::memory_order_relaxed), size);
  return parse_failure(text == nullptr ? std::string_view() : std::string_view(text, size));
}

void SharedObject::note_use(int64_t now_ms) {
  used_ms = now_ms;
  seat_.touch(place_, now_ms);
}

uint64_t SharedObject::filled() const {
  return std::min(row().filled.load(std::memory_order_acquire), length());
}

uint64_t SharedObject::body_offset() const {
  return row().offset.load(std::memory_order_relaxed) +
         row().head_size.load(std::memory_order_relaxed);
}

const char* SharedObject::bytes(uint64_t position, uint64_t size) {
  return seat_.bytes_of(place_, body_offset() + position, size);
}

std::optional<Fetch::Sink::FileBytes> SharedObject::file_bytes(uint64_t position,
                                                               uint64_t size) const {
  const uint64_t offset = body_offset() + position;
  if (!CacheSeat::are_bodies_of(place_, offset, size)) return std::nullopt;
  return Fetch::Sink::FileBytes{seat_.body_file(), offset, size};
}

SharedObject::Live SharedObject::live() {
  const uint64_t offset = row().offset.load(std::memory_order_relaxed);
  const uint64_t head_size = row().head_size.load(std::memory_order_relaxed);
  const uint64_t window = row().window.load(std::memory_order_relaxed);
  const bool is_possible = window >= kTsPacket && window % kTsPacket == 0 &&
                           window <= kCacheBodyBytes && head_size <= kCacheBodyBytes &&
                           offset % alignof(LiveMemory) == 0;
  if (!is_possible) return {};
  const char* memory =
      seat_.bytes_of(place_, offset + live_memory_offset(head_size), sizeof(LiveMemory) + window);
  return {reinterpret_cast<const LiveMemory*>(memory), window};
}

void SharedObject::note_position(uint64_t position) {
  if (position <= position_) return;
  position_ = position;
  if (!is_owned()) seat_.set_position(place_, position);
}

bool SharedObject::may_join(int64_t now_ms) const {
  const CacheState now = state();
  if (has_flag(kCacheClosed)) return false;
  if (now == CacheState::done) return now_ms < fresh_until_ms();
  return now == CacheState::claim || now == CacheState::growing;
}

size_t SharedObject::live_readers() const {
  return readers_.size() -
         static_cast<size_t>(std::count(readers_.begin(), readers_.end(), nullptr));
}

void SharedObject::remove(Reader& reader) {
  const auto found = std::find(readers_.begin(), readers_.end(), &reader);
  if (found == readers_.end()) return;
  if (notifying_) {
    *found = nullptr;
  } else {
    readers_.erase(found);
  }
}

// Readers that join during the loop see the change anyway.
void SharedObject::notify_readers() {
  if (notifying_) return;
  notifying_ = true;
  const size_t count = readers_.size();
  for (size_t i = 0; i < count; ++i) {
    if (readers_[i] != nullptr) readers_[i]->on_object_changed();
  }
  notifying_ = false;
  std::erase(readers_, nullptr);
}

SharedObject::Reader* SharedObject::take_first_reader() {
  const auto found = std::find_if(readers_.begin(), readers_.end(),
                                  [](const Reader* reader) { return reader != nullptr; });
  if (found == readers_.end()) return nullptr;
  Reader* reader = *found;
  remove(*reader);
  return reader;
}

}  // namespace streamgate
