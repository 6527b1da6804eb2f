// A Streamgate whose workers fail as the file $STREAMGATE_FAULT says.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>

#include "common/log_sink.h"
#include "worker/confine/confinement.h"
#include "worker/worker.h"

namespace streamgate {
namespace {

std::string fault() {
  const char* path = std::getenv("STREAMGATE_FAULT");
  std::string name;
  std::ifstream(path ? path : "/dev/null") >> name;
  return name;
}

void report(const std::string& attempt, long result) {
  const std::string outcome = result >= 0 ? "done" : std::to_string(errno);
  LogSink::inherited(STDERR_FILENO).write("attempt " + attempt + " " + outcome + "\n");
}

// What code of an attacker would try in a worker. Returns with a worker that still runs.
void attack(const Config& config) {
  if (auto confined = confine_worker(config, {}); !confined) {
    return report("confine: " + confined.error().detail, -1);
  }
  char* const none[] = {nullptr};
  report("execve", ::execve("/bin/true", none, none));
  report("execve", ::execve("/bin/true", none, none));
  report("fork", ::fork());
  report("ptrace", ::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr));
  report("kill", ::kill(::getppid(), SIGTERM));
  const rlimit second{1, 1};
  report("prlimit", ::prlimit(::getppid(), RLIMIT_CPU, &second, nullptr));
  rlimit own{};
  report("getrlimit", ::getrlimit(RLIMIT_CPU, &own));
  report("setpriority", ::setpriority(PRIO_PROCESS, static_cast<id_t>(::getppid()), 19));
  report("socket", ::socket(AF_PACKET, SOCK_RAW, 0));
  report("open", ::open(std::getenv("STREAMGATE_FAULT"), O_RDONLY));
  report("create", ::open("/tmp/streamgate-attack", O_WRONLY | O_CREAT, 0600));
  report("resolv.conf", ::open("/etc/resolv.conf", O_RDONLY));
  report("end", 0);
}

}  // namespace

int run_worker(const Heritage& heritage) {
  if (fault() == "attack") {
    attack(heritage.config);
    heritage.column.slot.state = WorkerState::ready;
    char byte = 0;
    while (::read(heritage.lifeline_fd, &byte, 1) > 0) continue;  // until the master has gone
    return kExitClean;
  }
  if (fault() == "freeze") {  // after it reported ready
    heritage.column.slot.state = WorkerState::ready;
    while (true) ::pause();
  }
  if (fault() == "crash") std::_Exit(99);
  while (fault() == "hang") ::pause();
  return kExitCannotStart;
}

Result<void> check_worker_config(const Config& /*config*/) {
  while (fault() == "hang_check") ::pause();
  if (fault() == "refuse") return Error{Reason::internal, "no such authority"};
  return {};
}

}  // namespace streamgate
