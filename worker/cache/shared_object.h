// One shared answer as a worker sees it: a row of the directory that it owns or has leased, and the
// clients of this worker that read it. Made by Cache, which also ends it.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string_view>

#include "worker/cache/seat.h"
#include "worker/cache/stored_head.h"
#include "worker/fetch/fetch.h"
#include "worker/loop/reaper.h"
#include "worker/loop/work_queue.h"

namespace streamgate {

class OwnedObject;
struct LiveMemory;

class SharedObject : public Retirable {
 public:
  // One client of this worker. It reads one object at a time. Each call may leave the object.
  class Reader {
   public:
    Reader() = default;
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    // The state has changed, or there are more bytes.
    virtual void on_object_changed() = 0;
    // The answer cannot be shared. The reader is off the list. `answer`: its fetch is the reader's
    // from now on, and take_over() gives what has arrived; null: the reader needs a fetch of its
    // own.
    virtual void on_unshared(std::unique_ptr<OwnedObject> answer) = 0;

   protected:
    ~Reader() = default;

   private:
    friend class SharedObject;

    const SharedObject* object_ = nullptr;  // null: on no list
    Reader* previous_ = nullptr;
    Reader* next_ = nullptr;
    uint64_t seen_change_ = 0;
  };

  SharedObject(CacheSeat& seat, const CacheKey& key, const CacheSeat::Object& place)
      : seat_(seat), key_(key), place_(place) {}

  const CacheKey& key() const { return key_; }
  const CacheSeat::Object& place() const { return place_; }
  bool is_owned() const { return seat_.owns(place_); }
  CacheState state() const { return seat_.state_of(place_); }
  bool is_under_way() const {
    return state() == CacheState::claim || state() == CacheState::growing;
  }
  // From growing on. Null if the head cannot be read.
  std::shared_ptr<const StoredHead> head();
  // The failure of a failed object.
  virtual Error failure();
  // The bytes of the body that are there; kept under the length.
  uint64_t filled() const;
  uint64_t length() const { return row().length.load(std::memory_order_relaxed); }
  // Of an endless body (live_memory.h).
  bool is_window() const { return row().window.load(std::memory_order_relaxed) > 0; }
  // The first position that is still there.
  uint64_t window_begin() const { return row().begin.load(std::memory_order_relaxed); }
  // Its memory, and the bytes of its ring. Null if the owner has written impossible values.
  struct Live {
    const LiveMemory* memory = nullptr;
    uint64_t size = 0;
  };
  Live live();
  // How far the first reader of this worker is in it.
  uint64_t position() const { return position_; }
  void note_position(uint64_t position);
  int64_t stored_ms() const { return row().stored_ms.load(std::memory_order_relaxed); }
  int64_t fresh_until_ms() const { return row().fresh_until_ms.load(std::memory_order_relaxed); }
  StoredPlaylist playlist() const { return playlist_of(row()); }
  // `size` bytes from `position` on, all below filled(). Null if the owner has written impossible
  // values.
  const char* bytes(uint64_t position, uint64_t size);
  // Another request uses it. `now_ms`: CLOCK_MONOTONIC.
  virtual void note_use(int64_t now_ms);
  // Whether the pages of the body may be sent without a copy.
  bool is_lent() const { return has_flag(kCacheLent); }
  // The place of `size` bytes from `position` on in the body file. None if the owner has written
  // impossible values.
  std::optional<Fetch::Sink::FileBytes> file_bytes(uint64_t position, uint64_t size) const;
  // Whether another request may use it.
  bool may_join(int64_t now_ms) const;

  // The reader is called for later changes only.
  void add(Reader& reader);
  // Does nothing if the reader is not on the list.
  void remove(Reader& reader);
  bool has_readers() const { return first_ != nullptr; }
  // From now on every reader counts as not called.
  void note_change() { ++changes_; }
  // Calls on_object_changed() of the readers that have not been called since the last change, until
  // the turn of the loop is long. The reader that was called the longest time ago comes first, also
  // if the object has changed again in the meantime. False: some are left.
  bool call_readers(WorkQueue& turns);
  // Whether the readers have been notified of this state, and the note of it.
  bool is_seen(CacheState state, uint64_t filled) const {
    return state == seen_state_ && filled == seen_filled_;
  }
  void see(CacheState state, uint64_t filled) {
    seen_state_ = state;
    seen_filled_ = filled;
  }
  // Takes the first reader off the list; null if there is none. Before the first change that is the
  // one that came first.
  Reader* take_first_reader();

  // For Cache: the time of the last use, and whether new requests may find it.
  int64_t used_ms = 0;
  bool is_listed = false;
  bool is_on_clock = false;  // LiveClock's
  bool is_queued = false;    // readers wait for another turn of the loop
  bool is_ended = false;     // off the cache's lists; its memory goes with the reaper
  std::list<std::unique_ptr<SharedObject>>::iterator self;

 protected:
  CacheSeat& seat() const { return seat_; }
  const CacheRow& row() const { return seat_.row_of(place_); }

 private:
  void append(Reader& reader);
  bool has_uncalled_reader() const { return first_ != nullptr && first_->seen_change_ != changes_; }
  bool has_flag(uint64_t flag) const {
    return (row().flags.load(std::memory_order_relaxed) & flag) != 0;
  }
  uint64_t body_offset() const;

  CacheSeat& seat_;
  const CacheKey key_;
  const CacheSeat::Object place_;
  std::shared_ptr<const StoredHead> head_;  // read at the first use
  Reader* first_ = nullptr;                 // was called the longest time ago
  Reader* last_ = nullptr;
  uint64_t changes_ = 0;
  uint64_t position_ = 0;
  bool is_calling_ = false;
  CacheState seen_state_ = CacheState::free;
  uint64_t seen_filled_ = 0;
};

}  // namespace streamgate
