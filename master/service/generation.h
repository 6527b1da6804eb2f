// One generation of workers: a configuration and what was bound for it. A reload makes the next
// one; the workers of the one before drain and leave. Lives in the master; a worker has the copy
// that fork made.
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
  // Where one of its workers stands; outlives the worker.
  struct Place {
    RespawnPolicy policy;
    int64_t not_before_ms = 0;  // CLOCK_MONOTONIC
    bool taken = false;
  };

  uint64_t number = 0;
  Config config;
  std::optional<Account> account;     // none: workers stay who the master is
  Listeners listeners;                // those of another generation may be among them
  std::vector<ListenSocket> sockets;  // the same, as workers see them
  TicketKey ticket_key{};
  std::vector<Place> places;

  // Reads the certificates and keys, binds what is new and keeps what `live` has; nothing stays
  // bound on failure.
  static Result<Generation> prepare(uint64_t number, Config config, const Listeners& live);
  // The two halves of it, for a configuration that is to be judged before anything is bound.
  static Result<Generation> outline(uint64_t number, Config config);
  Result<void> bind(const Listeners& live);

  std::string addresses() const;  // for the log
  // Removes the Unix socket files of the listeners that `other` does not have.
  void remove_files_not_in(const Listeners& other) const;
};

}  // namespace streamgate
