// The limits for connections that hold over all workers: `limits.connections` and
// `limits.per_client.connections`. Each worker counts its own connections in shared memory, and
// adds up those of all workers for each new one. Workers that accept at the same moment may not see
// each other's connection, so a limit holds to within one connection per worker.
//
// One per worker.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/scoreboard.h"
#include "common/socket_address.h"

namespace streamgate {

class ConnectionLimits {
 public:
  // `own` is one of the columns of `scoreboard`.
  ConnectionLimits(const Config& config, const ScoreboardView& scoreboard, Column& own)
      : config_(config), scoreboard_(scoreboard), own_(own) {}

  // The number of connections above limits.connections. Connections of draining workers count too.
  uint64_t excess() const;
  bool is_over() const { return excess() > 0; }
  // Whether another worker has idle connections, and whether another worker waits for room. Workers
  // that hang are ignored.
  bool others_have_idle() const { return other_has(&Slot::idle_now); }
  bool others_want_room() const { return other_has(&Slot::wants_room); }

  // Counts a connection of that peer, and returns its row for remove(). None if the connection is
  // not counted, because there is no limit, or the peer is a trusted proxy or a Unix socket.
  std::optional<uint32_t> add(const SocketAddress& peer);
  void remove(uint32_t row) { own_.client_counts.remove(row); }
  // Whether a counted peer has more connections than limits.per_client.connections.
  bool is_over(const SocketAddress& peer) const;

 private:
  bool other_has(std::atomic<uint64_t> Slot::*value) const;

  const Config& config_;
  ScoreboardView scoreboard_;
  Column& own_;
};

// The key of the client that an address belongs to: the IPv4 address, or the IPv6 /64, because
// providers assign at least a /64 to one customer (RFC 6177).
uint64_t client_key(const IpAddress& address);

}  // namespace streamgate
