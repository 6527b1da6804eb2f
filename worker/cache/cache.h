// The shared answers of one worker: those that it fetches for all workers, and those of other
// workers that it has leased. Brings the requests with the same key together, ends what is stale or
// not used, and keeps within `cache.memory`.
//
// One per worker that has a seat in the directory. Outlives the exchanges.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/cache_directory.h"
#include "common/config.h"
#include "common/mark_table.h"
#include "common/scoreboard.h"
#include "worker/cache/live_clock.h"
#include "worker/cache/live_format.h"
#include "worker/cache/owned_object.h"
#include "worker/cache/purges.h"
#include "worker/cache/region_store.h"
#include "worker/cache/seat.h"
#include "worker/fetch/fetch.h"
#include "worker/loop/event.h"
#include "worker/loop/reaper.h"
#include "worker/loop/timer_wheel.h"
#include "worker/loop/work_queue.h"

namespace streamgate {

class Cache final : private OwnedObject::Keeper,
                    private Purges::Keeper,
                    private LiveClock::Observer {
 public:
  // All outlive the cache. `claims_document`: whether content type and path name a document
  // (documents/detector.h).
  struct Environment {
    event_base* base;
    FetchEnvironment& fetches;
    const CacheConfig& config;
    Reaper& reaper;
    Slot& slot;
    uint64_t settings_mark;  // Heritage's
    bool (*claims_document)(std::string_view content_type, std::string_view path);
    // Of an endless body, by its media type and its first bytes.
    LiveFormat (*live_format)(std::string_view type, std::string_view bytes);
  };

  // `directory` is confined to `column`.
  Cache(const Environment& environment, CacheDirectory& directory, unsigned column);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  uint64_t settings_mark() const { return environment_.settings_mark; }
  int64_t now_ms() const { return environment_.fetches.wheel.now_ms(); }
  // Whether the guard lets a request for that URL through, as far as its name or its literal
  // address tells.
  Result<void> check(const FetchRequest& request) const;

  // Adds `reader` to the answer that a request with this key may share. Null: there is none, and
  // the request needs a fetch of its own. join() makes one if there is none; begin() must follow.
  struct Joined {
    SharedObject* object = nullptr;
    OwnedObject* begun = nullptr;  // the same, if it is new
    CacheState state = CacheState::free;
  };
  Joined join(const CacheKey& key, const FetchRequest& request, const FirstClient& client,
              SharedObject::Reader& reader);
  // Only an answer that is there or under way.
  Joined join_existing(const CacheKey& key, SharedObject::Reader& reader);
  // Whether there is a stale answer, so that join() would ask the upstream whether it is still
  // valid.
  bool has_stale(const CacheKey& key);
  // Starts the fetch of a new object, or waits for the owner's steps. Calls readers.
  void begin(const Joined& joined);
  void leave(SharedObject& object, SharedObject::Reader& reader);

  // Whether other workers read what this one fetches: a draining worker stays until then.
  bool is_needed() const;

  // The clients that have used up their share of a turn of the loop, and have more to get.
  WorkQueue& turns() { return turns_; }

  // Memory for copies of endless bodies. A user moves it out and back.
  std::string live_scratch;
  void count_window_move() { count(environment_.slot.counters, Counter::cache_window_moves); }

  // Drops the answers of a URL in all workers. New requests ask the upstream again; current readers
  // continue.
  Purges& purges() { return purges_; }

 private:
  using Objects = std::list<std::unique_ptr<SharedObject>>;

  static std::vector<SharedObject*> snapshot(const Objects& objects);
  void on_changed(OwnedObject& object) override;
  void on_fetched(OwnedObject& object) override;
  void on_basis_useless(OwnedObject& object) override;
  void leave_basis(SharedObject& basis, SharedObject::Reader& reader) override;
  void on_window(OwnedObject& object) override;
  LiveFormat live_format(std::string_view type, std::string_view bytes) const override {
    return environment_.live_format(type, bytes);
  }
  void on_live_tick(SharedObject& object) override;
  void on_unshareable(OwnedObject& object) override;
  void on_covered(OwnedObject& object) override;
  bool may_ignore_no_store(const HttpUrl& url) const override;
  bool claims_document(const ResponseHead& head, std::string_view path) const override;
  std::optional<RegionStore::Region> take_region(uint64_t bytes) override;
  uint64_t drop(const PurgeOrder& order) override;

  SharedObject* find_known(const CacheKey& key) const;
  SharedObject* use_known(SharedObject* known, int64_t now_ms);
  bool is_kept(const OwnedObject& object, int64_t now_ms) const;
  OwnedObject::Previous take_previous(SharedObject* known, const CacheKey& key, int64_t now_ms);
  SharedObject* take_basis(SharedObject* known, const CacheKey& key, int64_t now_ms);
  Joined add_leased(const CacheKey& key, const CacheSeat::Object& place,
                    SharedObject::Reader& reader);
  bool notify(SharedObject& object);
  void notify_later(SharedObject& object);
  void queue(SharedObject& object);
  void call_queued();
  void call_readers_of(SharedObject& object);
  void watch(SharedObject& object);
  void list(SharedObject& object);
  void unlist(SharedObject& object);
  void close(OwnedObject& object);
  void retire(SharedObject& object);
  bool end_if_unused(OwnedObject& object);
  bool drop_if_unused(SharedObject& object);
  bool may_linger(OwnedObject& object) const;
  bool is_lingering(const OwnedObject& object) const;
  void give_up_lingering();
  bool is_unused(OwnedObject& object, int64_t now_ms) const;
  std::unique_ptr<SharedObject> take(SharedObject& object);
  void on_woken();
  void look_at_leased();
  void on_tick();
  void make_room();
  void make_rows();
  bool can_make_room(uint64_t bytes) const;
  void free_retired();
  void evict(uint64_t bytes, size_t objects);
  void move_up(Objects::iterator object);

  const Environment environment_;
  WorkQueue turns_{environment_.base, environment_.reaper, WorkQueue::Priority::usual};
  std::deque<SharedObject*> queued_;  // have readers that wait for another turn of the loop
  WorkQueue::Task next_queued_{turns_, this, call<&Cache::call_queued>};
  CacheSeat seat_;
  Purges purges_;
  RegionStore regions_;
  Objects owned_;  // the last one used by this process first
  Objects leased_;
  std::unordered_map<uint64_t, std::vector<SharedObject*>> by_key_;  // by a word of the key
  MarkTable unshareable_;  // keys whose answer could not be shared a moment ago
  MarkTable useless_;      // keys whose stale answer was no use as a basis a moment ago
  LiveClock live_clock_;
  MemberEvent woken_;
  Deadline tick_;
  unsigned ticks_ = 0;
  // An eviction since the last tick was not enough: other processes have leases on the retired
  // objects.
  bool awaits_leases_ = false;
};

}  // namespace streamgate
