#include "worker/cache/shared_object.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
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

void SharedObject::append(Reader& reader) {
  reader.object_ = this;
  reader.seen_change_ = changes_;
  reader.next_ = nullptr;
  reader.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &reader;
  last_ = &reader;
}

void SharedObject::add(Reader& reader) {
  CHECK(reader.object_ == nullptr);
  append(reader);
}

void SharedObject::remove(Reader& reader) {
  if (reader.object_ != this) return;
  reader.object_ = nullptr;
  (reader.previous_ != nullptr ? reader.previous_->next_ : first_) = reader.next_;
  (reader.next_ != nullptr ? reader.next_->previous_ : last_) = reader.previous_;
}

// A call may remove any reader, and change the object again. The clock is read only if readers are
// left.
bool SharedObject::call_readers(WorkQueue& turns) {
  if (is_calling_) return true;  // the call that is under way sees the change
  is_calling_ = true;
  while (has_uncalled_reader()) {
    Reader& reader = *first_;
    remove(reader);
    append(reader);
    reader.on_object_changed();
    if (has_uncalled_reader() && turns.is_turn_long()) break;
  }
  is_calling_ = false;
  return !has_uncalled_reader();
}

SharedObject::Reader* SharedObject::take_first_reader() {
  Reader* const reader = first_;
  if (reader != nullptr) remove(*reader);
  return reader;
}

}  // namespace streamgate
