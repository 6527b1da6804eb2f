// Everything that a worker receives across fork(): a value that the worker needs is a field here.
// The master fills it, the worker reads it. Each process closes its own copies of the descriptors.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "common/cache_directory.h"
#include "common/config.h"
#include "common/scoreboard.h"

namespace streamgate {

// What a listener serves: the proxy, or the pages for operators.
enum class ListenRole { proxy, admin };

struct ListenSocket {
  int fd = -1;                   // bound, listening, non-blocking, close-on-exec
  SocketAddress address;         // as bound: port 0 already replaced by the kernel's choice
  std::optional<ListenTls> tls;  // with the files' contents; none: plain
  bool proxy_protocol = false;
  ListenRole role = ListenRole::proxy;
};

// Encrypts the session tickets of TLS clients: a name, and one key each for HMAC and AES. Random.
// All workers of a generation share it, because a client may present its ticket to any of them.
using TicketKey = std::array<unsigned char, 80>;

struct Heritage {
  const Config& config;
  std::span<const ListenSocket> listeners;
  const TicketKey& ticket_key;
  unsigned slot_index = 0;
  uint64_t generation = 0;
  ScoreboardView scoreboard;        // read-only memory: for limits that hold over all workers
  Column& column;                   // the worker's own
  ArrivalTable& arrivals;           // with `column` and a part of `cache`, what it can write
  int lifeline_fd = -1;             // read end; EOF means the master is gone: drain and exit
  CacheDirectory* cache = nullptr;  // confined to cache_column; null: there is no cache
  unsigned cache_column = 0;
  // Of the whole configuration. Generations with the same mark may share answers.
  uint64_t settings_mark = 0;
};

// Exit codes of a worker that the master tells apart.
constexpr int kExitClean = 0;
constexpr int kExitCannotStart = 78;  // EX_CONFIG: a new worker would fail too

// Signals the master sends to a worker.
//   SIGQUIT  drain: no new connections, finish running exchanges, exit 0
//   SIGTERM  the same, so that a TERM to the whole process group does not cut exchanges that the
//            master lets finish
//   SIGINT   cut running exchanges, exit 0
//   SIGUSR1  reopen log files
//   SIGUSR2  log every live exchange

}  // namespace streamgate
