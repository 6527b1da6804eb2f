// The Handover: every descriptor, worker and number that must outlive execve() when another program
// replaces the master in the same process. A text in a memory file:
//
//   streamgate-state 1
//   service pid=812 program=/usr/sbin/streamgate ...
//   listener fd=5 configured=0.0.0.0:8080 ...
//   end
//
// One record per line; values have names and are percent-encoded. Within a version, unknown records
// and values are ignored and absent ones have their default, so that both an upgrade and a
// downgrade can read it. A value that changes its meaning needs a new version. Pure: nothing here
// uses a descriptor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "master/config/loader.h"
#include "master/process/scoreboard_layout.h"
#include "master/process/worker_process.h"
#include "master/service/status_report.h"

namespace streamgate {

constexpr int kHandoverVersion = 1;
constexpr size_t kMaxHandoverBytes = size_t{16} * 1024 * 1024;

struct Handover {
  struct Service {
    int64_t pid = 0;
    std::string program;  // real path of the program file
    std::string version;  // of the program that wrote this
    std::string pid_file;
    std::string notify_socket;  // with watchdog_ms: of the service manager
    std::optional<int64_t> watchdog_ms;
    int64_t started_ms = 0;         // CLOCK_MONOTONIC, like all times
    int64_t reload_started_us = 0;  // of the reload that has begun with this upgrade
    bool reload_wanted = false;     // one more SIGHUP has come since
    bool is_ready = false;          // READY=1 has been sent
    uint64_t last_generation = 0;   // a number is never used twice
    int lifeline_read = -1;
    int lifeline_write = -1;
  };

  struct Listener {
    int fd = -1;
    std::string configured;  // empty if from_manager: the bound address is used
    uint64_t device = 0;     // with inode: the file of a Unix socket
    uint64_t inode = 0;
    bool from_manager = false;  // bound by the service manager
    // The certificate and key in use. Their files may have changed since, and the old generation
    // must be able to start another worker.
    std::optional<ListenTls> tls;
  };

  struct Board {
    int fd = -1;
    ScoreboardLayout layout;
  };

  struct Worker {
    int64_t pid = 0;
    unsigned slot = 0;  // of the first board
    uint64_t generation = 0;
    unsigned place = 0;
    WorkerProcess::Standing standing;
    // Where the worker writes, if its program has another layout; 0: the first board.
    unsigned board = 0;
    unsigned board_slot = 0;
    std::optional<int64_t> cache_column = std::nullopt;  // in `cache`; none: it has no seat there
  };

  // The cache directory that new workers get (common/cache_directory.h).
  struct Cache {
    int directory = -1;
    int bodies = -1;
    unsigned layout = 0;  // kCacheLayoutVersion of the program that made it
  };
  struct CacheWaker {
    int fd = -1;
  };

  // The generation that serves; with the settings, enough to start another worker.
  struct Generation {
    uint64_t number = 0;
    unsigned places = 0;
  };

  Service service;
  Outcome reload;
  Outcome reopen;
  std::vector<Listener> listeners;
  std::vector<Board> boards;  // the first is the one in use
  std::vector<Worker> workers;
  std::vector<Cache> cache;              // one, or none without cache.memory
  std::vector<CacheWaker> cache_wakers;  // one for each of its columns
  Generation generation;
  std::vector<ConfigSetting> settings;  // of that generation
};

// Every descriptor in the handover. A descriptor that occurs twice is listed twice.
std::vector<int> descriptors_of(const Handover& handover);

std::string print_handover(const Handover& handover);

// Fails if the text is not a handover, has an unknown version, or holds an impossible number: a
// negative descriptor, a slot that does not exist.
Result<Handover> parse_handover(std::string_view text);

}  // namespace streamgate
