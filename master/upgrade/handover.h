// What a master hands over to the program that replaces it in the same process: every descriptor,
// worker and number that must outlive execve(), as a text in a memory file.
//
//   streamgate-state 1
//   service pid=812 program=/usr/sbin/streamgate ...
//   listener fd=5 configured=0.0.0.0:8080 ...
//   end
//
// One record a line, its values by name and percent-encoded. Within a version, unknown records and
// values are left out and absent ones have their default, so that both an upgrade and a downgrade
// can read it; what changes its meaning needs a new version. Pure: nothing here touches a
// descriptor.
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
constexpr size_t kMostHandoverBytes = size_t{16} * 1024 * 1024;

struct Handover {
  struct Service {
    int64_t pid = 0;
    std::string program;  // real path of the program file
    std::string version;  // of the program that wrote this
    std::string pid_file;
    std::string notify_socket;  // these two: of the service manager, taken from the environment
    std::optional<int64_t> watchdog_ms;
    int64_t started_ms = 0;         // CLOCK_MONOTONIC, as all times
    int64_t reload_started_us = 0;  // of the reload that this upgrade is a part of
    bool reload_wanted = false;     // another one
    bool is_ready = false;          // READY=1 has been said
    uint64_t last_generation = 0;   // numbers are never used twice
    int lifeline_read = -1;
    int lifeline_write = -1;
  };

  struct Listener {
    int fd = -1;
    std::string configured;  // empty if from the manager: then it is what it is bound to
    uint64_t device = 0;     // these two: the file of a Unix socket
    uint64_t inode = 0;
    bool from_manager = false;  // bound by the service manager
    // The certificate and its key in use, which may no longer be what stands in their files: an
    // old generation must be able to start a worker again.
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
    // A worker of a program with another layout writes to a slot of a board of its own.
    unsigned board = 0;
    unsigned board_slot = 0;
  };

  // The generation that serves: enough to start a worker of it again.
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
  Generation generation;
  std::vector<ConfigSetting> settings;  // of that generation
};

// Every descriptor that it names, each as often as it does.
std::vector<int> descriptors_of(const Handover& handover);

std::string print_handover(const Handover& handover);

// An error for a text that is none, for a version that this program does not know, and for numbers
// that cannot be: a descriptor below 0, a worker in a slot that is not there.
Result<Handover> parse_handover(std::string_view text);

}  // namespace streamgate
