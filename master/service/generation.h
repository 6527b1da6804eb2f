// One generation of workers: a configuration and the sockets bound for it. A reload makes the next
// generation, and the workers of the old one drain and leave. Lives in the master; a worker has the
// copy that fork() made.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/config.h"
#include "common/heritage.h"
#include "common/result.h"
#include "master/process/account.h"
#include "master/process/respawn_policy.h"
#include "master/service/listener.h"

namespace streamgate {

struct Generation {
  // The place of one worker. When the worker dies, its successor gets the place.
  struct Place {
    RespawnPolicy policy;
    int64_t not_before_ms = 0;  // CLOCK_MONOTONIC
    bool taken = false;
  };

  uint64_t number = 0;
  Config config;
  std::optional<Account> account;  // none: workers keep the master's user
  Listeners listeners;  // of the proxy, then of admin.listen; some may belong to two generations
  std::vector<ListenSocket> sockets;  // the same, as workers see them
  TicketKey ticket_key{};
  std::vector<Place> places;

  // Reads the certificates and keys, shares the listeners of `live` whose address stays, and binds
  // the other addresses. On failure nothing new stays bound.
  static Result<Generation> prepare(uint64_t number, Config config, const Listeners& live);
  // The two halves of prepare(), for a configuration that is checked before anything is bound.
  static Result<Generation> outline(uint64_t number, Config config);
  Result<void> bind(const Listeners& live);

  // Empties the place of a dead worker. Returns the delay until a successor may be started. If that
  // was the last worker, one of the places is filled within 1 s, also if its own delay is longer.
  Milliseconds vacate(unsigned place, RespawnPolicy::Death death, Milliseconds age, int64_t now_ms);

  // Called in a worker of another generation: closes the listeners and overwrites the keys.
  void close_in_child();

  // For the log.
  std::string addresses() const { return addresses_of(ListenRole::proxy); }
  std::string admin_addresses() const { return addresses_of(ListenRole::admin); }
  // Removes the Unix socket files of the listeners that are not in `other`.
  void remove_files_not_in(const Listeners& other) const;

 private:
  std::string addresses_of(ListenRole role) const;  // `off`: none
};

}  // namespace streamgate
