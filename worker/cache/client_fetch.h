// The upstream's answer to one client: from a fetch of its own, or from one that it shares with
// other clients (Cache). It has the interface of a Fetch; the exchange does not know which it is.
//
// A shared answer is read from memory as far as it is there, at the client's speed. Ranges and
// conditions of the client are answered from the whole answer (RFC 9110 13, 14). If an answer to a
// GET serves a HEAD, the observer gets head and body as for a GET, until it stops the fetch.
// Without a cache this class costs a comparison for each call. A client whose socket takes bytes as
// fast as they are sent gets a limited number of them in each turn of the event loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/cache/cache.h"
#include "worker/cache/cache_outcome.h"
#include "worker/cache/owned_object.h"
#include "worker/fetch/fetch.h"

namespace streamgate {

class ClientFetch final : private SharedObject::Reader {
 public:
  // `cache` may be null. All outlive the fetch.
  ClientFetch(FetchEnvironment& environment, Cache* cache, FetchRequest&& request,
              Fetch::Observer& observer);
  ~ClientFetch();
  ClientFetch(const ClientFetch&) = delete;
  ClientFetch& operator=(const ClientFetch&) = delete;

  // May call the observer, up to on_end(). The texts of `client` are valid until stop().
  void start(const FirstClient& client);
  CacheOutcome cache_outcome() const { return outcome_; }

  // As those of Fetch.
  void relay_into(Fetch::Sink& sink);
  void reconnect_at_end() { fetch_->reconnect_at_end(); }
  bool may_reconnect() const { return fetch_ != nullptr && fetch_->may_reconnect(); }
  bool continues_after_end() const { return fetch_ != nullptr && fetch_->continues_after_end(); }
  void retry_without_range();
  bool may_change_identity() const;
  void change_identity(std::string_view player_agent);
  // The answer is what the client wants. Its origin is asked in the same way next time.
  void keep_identity();
  void pause();
  void go_on();
  void stop();
  std::string cookies_for_children();
  std::string_view step_name() const;
  const HttpUrl& url() const;
  bool left_origin() const;
  bool is_redirected() const;
  std::string_view authorization() const;
  bool asked_for_range() const;
  int upstream_status() const;
  unsigned attempts() const;
  unsigned resumed() const { return fetch_ != nullptr ? fetch_->resumed() : 0; }
  unsigned discontinuities() const { return fetch_ != nullptr ? fetch_->discontinuities() : 0; }
  bool reused_connection() const { return fetch_ != nullptr && fetch_->reused_connection(); }

 private:
  struct Sharing;

  void on_object_changed() override;
  void on_unshared(std::unique_ptr<OwnedObject> answer) override;

  bool may_share(const FetchRequest& request) const;
  void join();
  Cache::Joined find_object();
  void rejoin();
  bool follow_later();
  unsigned most_joins() const;
  bool is_following() const;
  void pass();
  void leave();
  void fail(const Error& error);
  void fail_as_changed();
  void choose_identity();
  void begin_again_as(std::string_view player_agent);
  void proceed();
  bool take_step();
  bool read_rest_and_rejoin();
  bool fail_or_follow(const Error& error);
  bool give_answer();
  void begin_answer(const std::shared_ptr<const StoredHead>& head);
  bool deliver();
  void note_delivered(uint64_t size);
  void begin_live(const std::shared_ptr<const StoredHead>& head);
  void attach_live();
  bool follow_live(const StoredHead& head);
  bool deliver_live();
  bool end();

  FetchEnvironment& environment_;
  Cache* const cache_;
  Fetch::Observer& observer_;
  CacheOutcome outcome_ = CacheOutcome::off;
  std::optional<Fetch> own_;
  std::unique_ptr<OwnedObject> taken_;  // an answer that could not be shared; has the fetch
  Fetch* fetch_ = nullptr;              // in own_ or taken_; null: the answer is shared
  std::unique_ptr<Sharing> sharing_;    // null without a cache
};

}  // namespace streamgate
