// A shared answer that this worker fetches: it takes the answer from its Fetch, decides whether it
// may be shared, and writes it into a region for the readers of all workers.
//
//   claim      the request is under way
//   growing    the head is there; the body has a length and is read as the upstream sends it
//   done       all of it is there
//   failed     the current readers get the error; the next request asks the upstream again
//
// An endless body (no length, MPEG-TS or sound) grows in a window (live_window.h) until its end.
//
// A playlist without a length stays a claim until its end, because its size is known only then. An
// answer that may not be shared goes to its first reader, with the fetch.
//
// If there is a stale answer (the basis), the request has conditions, and after a 304 the object is
// a copy of the basis with a new head. If the 304 cannot be used, the object is retired and its
// readers start again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "worker/cache/freshness.h"
#include "worker/cache/live_format.h"
#include "worker/cache/live_window.h"
#include "worker/cache/purges.h"
#include "worker/cache/region_store.h"
#include "worker/cache/shared_object.h"
#include "worker/fetch/fetch.h"
#include "worker/loop/request_note.h"

namespace streamgate {

// The client that asked first, for logs and limits.
struct FirstClient {
  std::string_view text;
  std::string_view id;  // of its exchange
  std::optional<IpAddress> names_count_for = std::nullopt;
  std::string_view player_agent = {};  // its User-Agent, if it is a player
};

class OwnedObject final : public SharedObject,
                          private Fetch::Observer,
                          private Fetch::Sink,
                          private SharedObject::Reader {
 public:
  // Implemented by Cache.
  class Keeper {
   public:
    // The object has changed: notifies the readers, and wakes other workers.
    virtual void on_changed(OwnedObject& object) = 0;
    // The fetch has ended, and the object is done or failed.
    virtual void on_fetched(OwnedObject& object) = 0;
    // The 304 cannot be used: the readers start again, without a basis.
    virtual void on_basis_useless(OwnedObject& object) = 0;
    // The object does not read the basis any more.
    virtual void leave_basis(SharedObject& basis, SharedObject::Reader& reader) = 0;
    // The object is a window now: LiveClock notifies its readers, and on_live_tick() is called at
    // each tick.
    virtual void on_window(OwnedObject& object) = 0;
    // By the media type, and by the first bytes of the body.
    virtual LiveFormat live_format(std::string_view type, std::string_view bytes) const = 0;
    // The answer may not be shared: the keeper gives the object away or ends it.
    virtual void on_unshareable(OwnedObject& object) = 0;
    // An earlier purge covers the answer.
    virtual void on_covered(OwnedObject& object) = 0;
    // Room for that many bytes, perhaps in the place of older objects.
    virtual std::optional<RegionStore::Region> take_region(uint64_t bytes) = 0;
    virtual bool may_ignore_no_store(const HttpUrl& url) const = 0;
    virtual bool claims_document(const ResponseHead& head, std::string_view path) const = 0;

   protected:
    ~Keeper() = default;
  };

  struct Tools {
    CacheSeat& seat;
    RegionStore& regions;
    FetchEnvironment& fetches;
    const CacheConfig& config;
    Keeper& keeper;
  };

  // The previous answer with this key.
  struct Previous {
    SharedObject* basis = nullptr;  // null: none; the object reads it until it leaves it
    std::optional<StoredPlaylist> playlist = std::nullopt;
  };

  // `place` is a claim. `request` has neither a range nor a condition.
  OwnedObject(const Tools& tools, const CacheKey& key, const CacheSeat::Object& place,
              FetchRequest&& request, const FirstClient& client, const Previous& previous);
  ~OwnedObject() override;

  // May call the keeper.
  void start();
  Error failure() override { return error_.value_or(Error{Reason::internal}); }
  // Ends the fetch.
  void cancel();
  // Of a window, at each tick of LiveClock.
  void on_live_tick();
  // Whether nobody has read it for that long. For a window that no process reads at the moment.
  bool has_lingered(int64_t now_ms, int64_t linger_ms);
  void end_linger() { unused_since_ms_ = 0; }
  // 0: a process reads it, or has until a moment ago.
  int64_t unused_since_ms() const { return unused_since_ms_; }
  // What max_connections counts the URL that was requested as (limit_key_of).
  uint64_t limit_key() const { return limit_key_; }
  // The upstream has been faster than the viewers lately. The next viewer of a file wants its
  // begin.
  bool may_be_file() const { return may_be_file_; }
  // Until it is done, failed or cancelled.
  bool is_fetching() const { return !has_ended_; }
  // In on_unshareable(): a later request may be shared when there is room.
  bool lacks_room() const { return lacks_room_; }
  // It is done, and may be the basis of a later one.
  bool may_be_validated() const { return may_be_validated_; }
  // It is done, and the next answer is compared with it.
  bool is_live_playlist() const { return is_live_playlist_; }
  void note_use(int64_t now_ms) override;
  // Whether the answer is of a URL of the order: one that was requested, the one that is asked or
  // has answered, or the one that answered for the basis.
  bool is_covered(const PurgeOrder& order) const;
  // For an order that does not cover it: a redirect may still lead to a URL of the order.
  void keep_order(const std::shared_ptr<const PurgeOrder>& order);
  // Of `cache.memory`.
  uint64_t held_bytes() const { return region_ ? tools_.regions.held_by(*region_) : 0; }
  Fetch& fetch() { return *fetch_; }
  // Hands the fetch, its head and the bytes that have arrived to `observer`, which outlives the
  // fetch. Inside on_unshareable().
  void take_over(Fetch::Observer& observer);
  // The row is free: no process reads the region any more.
  void release_region();

 private:
  void on_next_url() override;
  void on_redirect(const ResponseHead& head) override;
  void on_head(const ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_read_done() override;
  void on_next_body() override;
  void on_end() override;
  void on_failed(const Error& error) override;
  std::optional<IpAddress> client_of_names() const override { return names_count_for_; }

  size_t room() override;
  Pipe* borrow_pipe(uint64_t /*left*/) override { return nullptr; }
  void on_piped() override {}
  std::span<char> memory() override;
  void on_stored(size_t bytes) override { filled_ += bytes; }
  uint64_t taken() const override { return filled_; }

  // The basis is whole, so it does not change.
  void on_object_changed() override {}
  void on_unshared(std::unique_ptr<OwnedObject> /*answer*/) override {}

  bool is_handed_over() const;
  void leave_basis();
  void refresh();
  bool copy_basis(const ResponseHead& head);
  bool may_share(const ResponseHead& head);
  bool may_be_live(const ResponseHead& head) const;
  void look_at_first_bytes(std::string_view bytes);
  void begin_window(LiveFormat format);
  void end_undecided();
  bool begin_body(const ResponseHead& head);
  bool has_new_cookies();
  FetchFacts facts();
  void set_facts();
  void publish(const ResponseHead& head, uint64_t length);
  void publish_failure(const Error& error);
  void complete();
  Freshness freshness_of_head(const ResponseHead& head) const;
  int64_t age_from_ms() const;
  int64_t end_of_freshness_ms();
  int64_t own_age_ms();
  int64_t playlist_lifetime_ms(std::string_view text);
  void lend_if_popular();
  char* body_memory() const { return tools_.regions.memory_of(*region_) + head_size_; }

  const Tools tools_;
  RequestNote note_;
  const std::optional<IpAddress> names_count_for_;
  const std::string link_cookies_;
  const bool is_blocking_;
  const uint64_t limit_key_;
  const std::vector<std::string> urls_;  // that are requested, in their order
  std::optional<Fetch> fetch_;           // always set; made inside the scope of note_
  SharedObject* basis_;                  // null: none, or it has been left
  const std::optional<StoredPlaylist> previous_playlist_;
  bool may_be_validated_ = false;
  bool is_live_playlist_ = false;
  // The fetch's; null once the body grows for the readers.
  const ResponseHead* head_ = nullptr;
  bool has_validator_ = false;
  bool claims_document_ = false;  // the head does, or the body is coded and may be one
  std::optional<RegionStore::Region> region_;
  // CLOCK_MONOTONIC: when the answer was as old as its Age says (RFC 9111 4.2.3).
  int64_t age_from_ms_ = 0;
  std::optional<int64_t> fresh_seconds_;  // from then on, as the upstream says
  // The redirects on the way, as they say; and one is only for now, and does not say for how long.
  int64_t redirects_fresh_until_ms_ = INT64_MAX;
  bool has_unstated_redirect_ = false;
  bool has_private_redirect_ = false;  // no-store, private, or a Vary that names too much
  bool is_answer_ok_ = false;          // 200: it may be stored
  bool is_without_length_ = false;
  bool may_be_live_ = false;        // without a length; the first bytes decide
  std::string held_;                // of the body, until then
  std::optional<LiveWindow> live_;  // of an endless body
  int64_t last_tick_ms_ = 0;        // of LiveClock
  int64_t unused_since_ms_ = 0;     // 0: a process reads it
  bool is_paused_ = false;          // the fetch
  unsigned ticks_paused_ = 0;       // without an end
  unsigned ticks_flowing_ = 0;      // since the fetch was paused
  bool may_be_file_ = false;
  std::optional<FetchFacts> facts_;                        // from on_head() on
  std::vector<std::shared_ptr<const PurgeOrder>> orders_;  // until then
  std::optional<Error> error_;                             // of a failed object
  bool lacks_room_ = false;
  bool has_ended_ = false;
  Fetch::Observer* successor_ = nullptr;  // takes the answer since take_over()
  uint64_t head_size_ = 0;                // bytes in the region, before the body
  uint64_t room_ = 0;                     // for the body
  uint64_t filled_ = 0;
  unsigned uses_ = 0;  // after the first one
  bool is_lent_ = false;
};

}  // namespace streamgate
