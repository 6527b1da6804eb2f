#include "worker/exchange/stream_limits.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "worker/client/client_address.h"
#include "worker/client/client_rules.h"
#include "worker/client/connection_limits.h"
#include "worker/loop/signature.h"

namespace streamgate {
namespace {

// Clients, tokens and keys share the tables, so their keys must differ.
enum class Kind : uint64_t { client = 0x5374, token = 0x746f, key = 0x6b65 };

uint64_t digest_key(Kind kind, const std::string& key_id, const std::string& text) {
  // No id of a key has a blank.
  const std::string digest = short_digest(key_id + " " + text);
  uint64_t value = 0;
  std::memcpy(&value, digest.data(), sizeof value);
  return value ^ static_cast<uint64_t>(kind);
}

uint64_t key_of(const SocketAddress& client) {
  // Not client_key() itself, which counts connections.
  return client_key(unmapped(client.ip())) ^ static_cast<uint64_t>(Kind::client) << 48U;
}

Error limited(Cause cause, std::string detail) {
  return Error::of(Reason::rate_limited, cause, std::move(detail));
}

bool has_limits(const Config& config) {
  const SecurityConfig& security = config.security;
  return config.limits.streams > 0 || config.limits.per_client.rates != RateLimits{} ||
         security.clients != ClientRules{} || security.auth == SecurityConfig::Auth::token;
}

}  // namespace

// A client, a token or a key, and its limits.
struct StreamLimits::Party {
  uint64_t key = 0;
  uint64_t streams = 0;
  uint64_t rate = 0;
  Cause streams_cause = Cause::none;

  bool is_limited() const { return streams > 0 || rate > 0; }
};

StreamPlace::~StreamPlace() {
  for (const auto& row : rows_) {
    if (row) own_.client_counts.remove(*row);
  }
}

StreamLimits::StreamLimits(const Environment& environment)
    : config_(environment.config),
      scoreboard_(environment.scoreboard),
      own_(environment.own),
      arrivals_(environment.arrivals),
      wheel_(environment.wheel),
      is_in_use_(has_limits(environment.config)) {}

Result<void> StreamLimits::check_request(const SocketAddress& client) {
  if (!is_served(client, config_.security.clients)) return Error{Reason::client_forbidden, {}};
  const unsigned rate = config_.limits.per_client.rates.requests;
  if (rate == 0 || !client.is_ip() || may_request(key_of(client), rate)) return {};
  count(own_.slot.counters, Counter::requests_rate_limited);
  return limited(Cause::client_requests, {});
}

// As many requests at once as in a second.
bool StreamLimits::may_request(uint64_t key, unsigned rate) {
  constexpr int64_t kSecondUs = 1'000'000;
  return arrivals_.take(~key, kSecondUs / rate, kSecondUs, monotonic_us());
}

Result<std::unique_ptr<StreamPlace>> StreamLimits::admit(const SocketAddress& client,
                                                         const Access* access) {
  if (is_service_full()) {
    count(own_.slot.counters, Counter::streams_refused);
    return Error::of(Reason::overloaded, Cause::all_streams, "limits.streams");
  }
  std::array<Party, RateMeter::kMaxBuckets> parties;
  const RateLimits& per_client = config_.limits.per_client.rates;
  if (client.is_ip() && (per_client.streams > 0 || per_client.bandwidth > 0)) {
    parties[0] = {key_of(client), per_client.streams, per_client.bandwidth, Cause::client_streams};
  }
  if (access != nullptr && (access->streams > 0 || access->rate > 0)) {
    parties[1] = {digest_key(Kind::token, access->key->id, access->token_id), access->streams,
                  access->rate, Cause::token_streams};
  }
  if (access != nullptr && access->key->limits != RateLimits{}) {
    const RateLimits& of_key = access->key->limits;
    const uint64_t key = digest_key(Kind::key, access->key->id, {});
    if (of_key.requests > 0 && !may_request(key, of_key.requests)) {
      count(own_.slot.counters, Counter::requests_rate_limited);
      return limited(Cause::key_requests, access->key->id);
    }
    parties[2] = {key, of_key.streams, of_key.bandwidth, Cause::key_streams};
  }
  std::unique_ptr<StreamPlace> place;
  for (size_t i = 0; i < parties.size(); ++i) {
    if (!parties[i].is_limited()) continue;
    if (!place) place = std::make_unique<StreamPlace>(own_, arrivals_, wheel_);
    if (auto admitted = admit_party(parties[i], i, *place); !admitted) {
      count(own_.slot.counters, Counter::streams_rate_limited);
      return std::move(admitted).error();
    }
  }
  return place;
}

Result<void> StreamLimits::admit_party(const Party& party, size_t index, StreamPlace& place) {
  place.meter_.add({party.key, party.rate});
  if (party.streams == 0) return {};
  place.rows_[index] = own_.client_counts.add(party.key);
  // Of two workers that admit at the same moment, at least one sees the stream of the other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!place.rows_[index] || streams_of(party.key) <= party.streams) return {};
  return limited(party.streams_cause, {});
}

uint64_t StreamLimits::streams_of(uint64_t key) const {
  uint64_t streams = 0;
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    if (scoreboard_.is_live(i)) streams += scoreboard_.columns[i].client_counts.count_of(key);
  }
  return streams;
}

// This request is counted already: Slot::exchanges_now. Requests that need no upstream are over at
// once, so they hardly count.
bool StreamLimits::is_service_full() const {
  if (config_.limits.streams == 0) return false;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  uint64_t streams = 0;
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    if (!scoreboard_.is_live(i)) continue;
    streams += scoreboard_.columns[i].slot.exchanges_now.load(std::memory_order_relaxed);
  }
  return streams > config_.limits.streams;
}

}  // namespace streamgate
