// A worker's seat in the directory of shared objects: finds the objects of other workers, claims
// rows for its own, and wakes the processes that wait. No locks: a worker that is killed at any
// instruction leaves nothing that others wait for, and a row is used again only when no living
// process has a lease on it.
//
// The rules, for changes here:
//
//   lease    load the tag, store the lease, fence, load tag and key again: else give it up
//   free     retire the tag, fence, check all leases: a remaining lease keeps the row
//   claim    load the bucket's version, search the key, publish the claim, raise the version by
//            compare-and-swap: the loser retires its claim and searches again
//   wait     store the wait bit, fence, check again; the owner stores, fences, and checks the bits
//
// All fences are sequentially consistent: with any other, both sides can miss each other.
//
// Knows no events and no clock. Its memory is the directory's, which outlives it.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

#include "common/cache_directory.h"
#include "worker/cache/live_playlist.h"

namespace streamgate {

// The values of a row.
StoredPlaylist playlist_of(const CacheRow& row);

class CacheSeat {
 public:
  // An object in a row. It is leased by this process, or in this process's own column, until drop()
  // or try_free().
  struct Object {
    unsigned owner = 0;  // the number of its column
    uint32_t row = 0;
    uint64_t serial = 0;

    bool operator==(const Object&) const = default;
  };

  // `directory` is confined to `column`.
  CacheSeat(CacheDirectory& directory, unsigned column);
  ~CacheSeat();
  CacheSeat(const CacheSeat&) = delete;
  CacheSeat& operator=(const CacheSeat&) = delete;

  unsigned column() const { return column_; }
  bool owns(const Object& object) const { return object.owner == column_; }
  // Becomes readable when the process must check its objects again. drain_waker() makes it
  // unreadable.
  int waker() const { return directory_.files().wakers[column_].get(); }
  void drain_waker() const;

  // The object of another process that a new request with this key may use, leased; or else a claim
  // in the own column (owns()). None: no row is free, or the bucket is too busy. The caller has
  // looked for the key among its own objects and its leases. `now_ms`: CLOCK_MONOTONIC.
  std::optional<Object> find_or_claim(const CacheKey& key, int64_t now_ms);
  // The same without the claim.
  std::optional<Object> find(const CacheKey& key, int64_t now_ms);
  // The newest whole object of another process with this key, leased, however old it is.
  std::optional<Object> find_stale(const CacheKey& key, int64_t now_ms);
  // The row of the newest complete playlist of another process with this key. No lease is taken:
  // the row may hold another object by now, so its values may not belong together.
  std::optional<StoredPlaylist> last_playlist(const CacheKey& key) const;
  size_t free_rows() const { return free_rows_.size(); }
  // Frees claims that were given up while others had leased them. Call it now and then.
  void free_abandoned();

  // --- of any object ---

  // free: the row has another object by now.
  CacheState state_of(const Object& object) const;
  // Allowed from growing on; the values of a row in another column are not to be trusted.
  const CacheRow& row_of(const Object& object) const;
  // `size` bytes of the body file at `offset`; null if they lie outside the owner's range, or it
  // cannot be mapped.
  const char* bytes_of(const Object& object, uint64_t offset, uint64_t size);
  // The body file, and whether those bytes lie inside the owner's range.
  int body_file() const { return directory_.files().bodies.get(); }
  static bool are_bodies_of(const Object& object, uint64_t offset, uint64_t size);

  // --- of a leased object ---

  void touch(const Object& object, int64_t now_ms);
  // How far the first reader of this process is in an endless body.
  void set_position(const Object& object, uint64_t position);
  // Asks the owner for a wake-up at its next step. False if the object no longer has this `state`
  // and `filled`: check it again.
  bool wait(const Object& object, CacheState state, uint64_t filled);
  void stop_waiting(const Object& object);
  void drop(const Object& object);

  // --- of an own object ---

  struct Head {
    uint64_t offset;  // in the body file
    uint64_t size;
    uint64_t length;  // of the body; kUnknownLength
    int64_t stored_ms;
    int64_t fresh_until_ms;
  };
  // The bytes of the head are written. Afterwards, as of any change, call notify().
  void publish(const Object& object, const Head& head);
  void set_filled(const Object& object, uint64_t bytes);
  // Of an endless body: before publish() the bytes of its ring, then the first position that is
  // there, and the length at the end.
  void set_window(const Object& object, uint64_t bytes);
  void set_begin(const Object& object, uint64_t position);
  void set_length(const Object& object, uint64_t bytes);
  uint64_t first_position_of_others(const Object& object) const;
  void set_fresh_until(const Object& object, int64_t until_ms);  // before done
  void set_edge(const Object& object, uint64_t edge);            // of a live playlist, before done
  void set_reason(const Object& object, uint64_t reason);        // before failed
  void set_state(const Object& object, CacheState state);        // growing, done, failed, broken
  // New requests do not find it any more; its state and its readers stay.
  void close(const Object& object);
  // Readers may send its pages without a copy. Afterwards its memory needs new pages for another
  // body.
  void lend(const Object& object) { set_flag(object, kCacheLent); }
  // The same, and the owner does not use it any more. Call try_free() afterwards.
  void retire(const Object& object);
  // Retires and frees it as soon as nobody has a lease. The owner must not use it any more.
  void abandon(const Object& object);
  // Frees a retired row. False while others have a lease: they are woken, so that they drop it.
  bool try_free(const Object& object);
  // The last use by another process; 0 if none has a lease.
  int64_t last_use_by_others(const Object& object) const;
  bool is_leased(const Object& object) const;
  // Notes the processes that wait for the object. wake_noted() wakes each of them once.
  void notify(const Object& object);
  void wake_noted();

  // --- of all processes (worker/cache/purges.h) ---

  const CacheDirectory& directory() const { return directory_; }
  // wake_noted() wakes the process.
  void note(unsigned column) { noted_.set(column); }
  void note_all_others();

  // --- memory, of all processes ---

  CacheColumn& own() { return directory_.column(column_); }
  uint64_t held_by_all() const;
  uint64_t wanted_by_others() const;
  size_t live_columns() const;

 private:
  template <class May>
  bool take_lease(const Object& object, const CacheKey& key, int64_t now_ms, May may_use);
  template <class Visit>
  void for_each_row(const CacheKey& key, Visit visit) const;
  std::optional<Object> claim(const CacheKey& key);
  void set_flag(const Object& object, uint64_t flag);
  bool add_to_index(const CacheKey& key, uint32_t row);
  void remove_from_index(uint32_t row);
  CacheLease& lease_of(const Object& object) {
    return directory_.leases(column_, object.owner).of_row[object.row];
  }
  CacheRow& own_row(const Object& object) { return own().rows[object.row]; }
  template <class Visit>
  void for_each_lease(const Object& object, Visit visit) const;

  CacheDirectory& directory_;
  const unsigned column_;
  uint64_t next_serial_;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> free_rows_;
  std::vector<Object> abandoned_;  // retired, and still leased
  std::bitset<kMaxCacheColumns> noted_;
  std::vector<const char*> mapped_;  // the bodies of other columns; null: not mapped
};

}  // namespace streamgate
