// The limits for streams that hold over all workers: limits.streams, limits.per_client, the claims
// `streams` and `rate` of tokens, the `limits` of their keys, and security.clients. A stream is a
// running request for an upstream's answer, whether of a file, a segment or a playlist.
//
// Each worker counts its own streams in its column of the scoreboard, and adds up those of all
// workers for each new one. A worker counts before it adds up, so two workers never both admit the
// last stream; both may refuse it. Rates are in the ArrivalTable, which all workers write.
//
// One per worker.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/config.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "common/socket_address.h"
#include "worker/exchange/rate_meter.h"
#include "worker/links/grant.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

// A stream that is counted, for as long as the object lives.
class StreamPlace {
 public:
  StreamPlace(Column& own, ArrivalTable& arrivals, TimerWheel& wheel)
      : own_(own), meter_(arrivals, wheel) {}
  ~StreamPlace();
  StreamPlace(const StreamPlace&) = delete;
  StreamPlace& operator=(const StreamPlace&) = delete;

  RateMeter& meter() { return meter_; }

 private:
  friend class StreamLimits;
  Column& own_;
  std::array<std::optional<uint32_t>, RateMeter::kMaxBuckets> rows_;  // in Column::client_counts
  RateMeter meter_;
};

class StreamLimits {
 public:
  struct Environment {
    const Config& config;
    const ScoreboardView& scoreboard;
    Column& own;  // one of the columns of `scoreboard`
    ArrivalTable& arrivals;
    TimerWheel& wheel;
  };

  explicit StreamLimits(const Environment& environment);

  // Whether the configuration has any limit. If not, the other functions need not be called.
  bool is_in_use() const { return is_in_use_; }

  // For each request to /stream, before its URL is parsed. client_forbidden, or rate_limited for
  // more than limits.per_client.requests.
  Result<void> check_request(const SocketAddress& client);

  // Counts a stream of that client, its token and its key. Null if none of them has a limit.
  // overloaded at limits.streams, rate_limited for any other limit. `access` may be null.
  Result<std::unique_ptr<StreamPlace>> admit(const SocketAddress& client, const Access* access);

 private:
  struct Party;

  Result<void> admit_party(const Party& party, size_t index, StreamPlace& place);
  bool is_service_full() const;
  uint64_t streams_of(uint64_t key) const;
  bool may_request(uint64_t key, unsigned rate);

  const Config& config_;
  ScoreboardView scoreboard_;
  Column& own_;
  ArrivalTable& arrivals_;
  TimerWheel& wheel_;
  bool is_in_use_;
};

}  // namespace streamgate
