// Real masters, forked from the test, with fake workers: the effect of signals, deaths and reloads
// on processes.
#include "master/supervisor.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <string>

#include "common/clock.h"

namespace streamgate {
namespace {

enum class Manner { serves, cannot_start, crashes, hangs, ignores_drain };

// Shared memory of the test, its masters and their workers.
struct Shared {
  std::atomic<Manner> manner{Manner::serves};  // of workers that start from now on
  std::atomic<bool> check_refuses{false};
  std::atomic<int> forks{0};
  std::atomic<int64_t> last_fork_ms{0};
  std::atomic<int> last_pid{0};
  std::atomic<int> living{0};  // workers that serve; killed ones are subtracted by the test
  std::atomic<int> drained{0};
  std::atomic<int> left_at_once{0};
  std::atomic<int> orphaned{0};
  std::atomic<int> reopened{0};
  std::atomic<int> listeners{0};
  std::atomic<int> port{0};
  std::atomic<bool> saw_service_stopping{false};
  std::atomic<uint64_t> total_seen{0};
};

Shared& shared() {
  static Shared& memory = *new (::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared;
  return memory;
}

bool has_ended(const Heritage& heritage, int signal_number, Manner manner) {
  Shared& board = shared();
  if (signal_number == SIGUSR1) ++board.reopened;
  if (signal_number == SIGINT) ++board.left_at_once;
  if (signal_number == SIGQUIT) {
    board.saw_service_stopping = heritage.scoreboard.board.service_stopping.load();
    ++board.drained;
  }
  return signal_number == SIGINT || (signal_number == SIGQUIT && manner != Manner::ignores_drain);
}

int fake_worker(const Heritage& heritage) {
  Shared& board = shared();
  const Manner manner = board.manner;
  Slot& slot = heritage.column.slot;
  count(slot.counters, Counter::exchanges_started);
  board.total_seen = total_of(Counter::exchanges_started, heritage.scoreboard);
  board.last_fork_ms = monotonic_ms();
  board.last_pid = ::getpid();
  board.listeners = static_cast<int>(heritage.listeners.size());
  board.port = heritage.listeners[0].address.port();
  ++board.forks;
  if (manner == Manner::cannot_start) return kExitCannotStart;
  if (manner == Manner::crashes) std::abort();
  const sigset_t signals = master_signals();  // still blocked; see child_process.h
  const UniqueFd signal_fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  slot.state = WorkerState::ready;
  ++board.living;
  while (true) {
    if (manner != Manner::hangs) slot.beat_ms = monotonic_ms();
    pollfd waiting[] = {{signal_fd.get(), POLLIN, 0}, {heritage.lifeline_fd, POLLIN, 0}};
    ::poll(waiting, 2, 100);
    signalfd_siginfo info{};
    if (waiting[1].revents != 0) ++board.orphaned;
    const bool ended = waiting[0].revents != 0 &&
                       ::read(signal_fd.get(), &info, sizeof info) == sizeof info &&
                       has_ended(heritage, static_cast<int>(info.ssi_signo), manner);
    if (waiting[1].revents == 0 && !ended) continue;
    --board.living;
    return kExitClean;
  }
}

Result<void> fake_check(const Config&) {
  if (!shared().check_refuses) return {};
  return Error{Reason::internal, "no such authority"};
}

template <class Predicate>
bool wait_until(Predicate predicate, int limit_ms = 8'000) {
  const int64_t end = monotonic_ms() + limit_ms;
  while (monotonic_ms() < end) {
    if (predicate()) return true;
    ::poll(nullptr, 0, 1);
  }
  return predicate();
}

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    new (&shared()) Shared;
    char pattern[] = "/tmp/streamgate-test-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    ASSERT_EQ(0, ::chmod(folder_.c_str(), 0755));
    write_config("");
  }

  void TearDown() override {
    if (master_ > 0) {
      ::kill(master_, SIGKILL);
      ::waitpid(master_, nullptr, 0);
      wait_until([] { return shared().living <= 0; });
    }
    if (HasFailure()) std::fputs(log().c_str(), stderr);
    EXPECT_EQ(0, std::system(("rm -r " + folder_).c_str()));
  }

  void write_config(const std::string& more, const std::string& listen = "127.0.0.1:0") {
    std::ofstream(folder_ + "/c.yaml")
        << "listen: [" << listen << "]\nworkers: 2\npid_file: " << folder_
        << "/pid\nwatchdog_timeout: 2s\nlog: {error: " << folder_ << "/log}\n"
        << more;
  }

  void start() {
    master_ = ::fork();
    if (master_ != 0) return;
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    Supervisor supervisor({folder_ + "/c.yaml", {}, fake_worker, fake_check});
    ::_exit(supervisor.run());
  }

  static void kill_a_worker() {
    --shared().living;
    ASSERT_EQ(0, ::kill(shared().last_pid, SIGKILL));
  }

  void start_and_wait() {
    start();
    ASSERT_TRUE(wait_for("master.ready"));
  }

  int wait_for_exit() {
    int status = -1;
    const bool ended = wait_until([&] { return ::waitpid(master_, &status, WNOHANG) == master_; });
    EXPECT_TRUE(ended);
    if (ended) master_ = 0;
    return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  int stop(int signal_number) {
    ::kill(master_, signal_number);
    return wait_for_exit();
  }

  std::string log() const {
    std::ifstream file(folder_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  int lines_with(const std::string& text) const {
    const std::string all = log();
    int found = 0;
    for (size_t at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++found;
    return found;
  }
  bool wait_for(const std::string& text, int times = 1) const {
    return wait_until([&] { return lines_with(text) >= times; });
  }

  std::string folder_;
  pid_t master_ = 0;
};

TEST_F(SupervisorTest, StartsWorkersAndStopsCleanlyOnTerm) {
  start_and_wait();
  EXPECT_EQ(2, shared().living);
  EXPECT_NE(0, shared().port);
  int written_pid = 0;
  std::ifstream(folder_ + "/pid") >> written_pid;
  EXPECT_EQ(master_, written_pid);
  EXPECT_EQ(0, stop(SIGTERM));
  EXPECT_EQ(2, shared().drained);
  EXPECT_TRUE(shared().saw_service_stopping);
  EXPECT_NE(0, ::access((folder_ + "/pid").c_str(), F_OK));
  EXPECT_EQ(1, lines_with("master.stopped"));
}

TEST_F(SupervisorTest, StopsCleanlyOnQuit) {
  start_and_wait();
  EXPECT_EQ(0, stop(SIGQUIT));
  EXPECT_EQ(2, shared().drained);
}

TEST_F(SupervisorTest, ReplacesAKilledWorkerAtOnce) {
  start_and_wait();
  const int64_t killed = monotonic_ms();
  kill_a_worker();
  ASSERT_TRUE(wait_until([] { return shared().forks == 3; }));
  const int64_t gap = shared().last_fork_ms - killed;
  RecordProperty("death_to_fork_ms", static_cast<int>(gap));
  // A release build takes a few milliseconds. The limit is the first step of the back-off, so that
  // a sanitizer build on a busy machine passes too.
  EXPECT_LT(gap, 1000);
  EXPECT_TRUE(wait_for("worker.ready", 3));
  EXPECT_EQ(1, lines_with("signal=KILL"));
  EXPECT_EQ(1, lines_with("replaced=\"at once\""));
}

TEST_F(SupervisorTest, APlaceThatKeepsCrashingWaitsWhileTheOtherServes) {
  start_and_wait();
  shared().manner = Manner::crashes;
  kill_a_worker();
  ASSERT_TRUE(wait_for("replaced=\"in 1s\""));
  EXPECT_EQ(5, shared().forks);  // two workers, and three successors at once
  EXPECT_TRUE(wait_for("replaced=\"in 2s\""));
  EXPECT_EQ(6, shared().forks);
  shared().manner = Manner::serves;
  EXPECT_TRUE(wait_for("worker.ready", 3));
}

TEST_F(SupervisorTest, CountersOutliveTheirWorker) {
  start_and_wait();
  EXPECT_TRUE(wait_until([] { return shared().total_seen == 2; }));
  kill_a_worker();
  EXPECT_TRUE(wait_until([] { return shared().total_seen == 3; }));
}

TEST_F(SupervisorTest, ReplacesAWorkerThatHangs) {
  start_and_wait();
  shared().manner = Manner::hangs;
  kill_a_worker();
  ASSERT_TRUE(wait_until([] { return shared().forks == 3; }));
  shared().manner = Manner::serves;
  ASSERT_TRUE(wait_for("worker.stuck"));
  EXPECT_TRUE(wait_for("signal=ABRT"));
  --shared().living;
  EXPECT_TRUE(wait_for("worker.ready", 4));
  EXPECT_EQ(1, lines_with("worker.stuck"));
}

TEST_F(SupervisorTest, NoWorkerIsKilledAfterTheMasterWasSuspended) {
  start_and_wait();
  const int group = shared().last_pid;
  ::kill(master_, SIGSTOP);
  ::kill(group, SIGSTOP);
  const int64_t end = monotonic_ms() + 3'300;
  wait_until([&] { return monotonic_ms() >= end; });
  ::kill(master_, SIGCONT);
  ASSERT_TRUE(wait_for("master.was_suspended"));
  ::kill(group, SIGCONT);
  ASSERT_EQ(0, stop(SIGTERM));
  EXPECT_EQ(0, lines_with("worker.stuck"));
}

TEST_F(SupervisorTest, AReloadReplacesTheGenerationAndKeepsTheSocket) {
  start_and_wait();
  const int port = shared().port;
  write_config("drain: {idle: 1s}\n");
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.done"));
  EXPECT_TRUE(wait_until([] { return shared().drained == 2 && shared().living == 2; }));
  EXPECT_FALSE(shared().saw_service_stopping);
  EXPECT_EQ(port, shared().port);
  EXPECT_EQ(1, lines_with("listener.bound"));
  EXPECT_EQ(0, stop(SIGTERM));
}

TEST_F(SupervisorTest, AReloadBindsNewAddressesAndReleasesOldOnes) {
  const std::string path = folder_ + "/s";
  write_config("", "127.0.0.1:0, 'unix:" + path + "'");
  start_and_wait();
  EXPECT_EQ(2, shared().listeners);
  EXPECT_EQ(0, ::access(path.c_str(), F_OK));
  write_config("", "127.0.0.1:0, 'unix:" + path + "2', '[::1]:0'");
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.done"));
  EXPECT_EQ(3, shared().listeners);
  EXPECT_NE(0, ::access(path.c_str(), F_OK));
  EXPECT_EQ(0, ::access((path + "2").c_str(), F_OK));
  EXPECT_EQ(0, stop(SIGTERM));
  EXPECT_NE(0, ::access((path + "2").c_str(), F_OK));
}

TEST_F(SupervisorTest, AWrongConfigurationChangesNothing) {
  start_and_wait();
  write_config("bogus: 1\nworkers: 3\n");
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.failed"));
  EXPECT_EQ(1, lines_with("c.yaml:6: bogus"));
  EXPECT_EQ(1, lines_with("c.yaml:7: workers"));
  EXPECT_EQ(2, shared().forks);
  EXPECT_EQ(0, shared().drained);
}

TEST_F(SupervisorTest, AConfigurationThatFailsTheCheckOfTheWorkerStartsNothing) {
  start_and_wait();
  shared().check_refuses = true;
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.failed"));
  EXPECT_EQ(1, lines_with("no such authority"));
  EXPECT_EQ(2, shared().forks);
  shared().check_refuses = false;
  ::kill(master_, SIGHUP);
  EXPECT_TRUE(wait_for("reload.done"));
}

TEST_F(SupervisorTest, AnAddressThatOverlapsALiveOneFailsTheReloadAndNamesBoth) {
  start_and_wait();
  const std::string port = std::to_string(shared().port.load());
  write_config("", "'0.0.0.0:" + port + "'");
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.failed"));
  EXPECT_EQ(1, lines_with("cannot listen on 0.0.0.0:" + port + ": it overlaps 127.0.0.1:" + port));
  EXPECT_EQ(2, shared().living);
}

TEST_F(SupervisorTest, ANewGenerationThatCannotStartIsRolledBack) {
  start_and_wait();
  shared().manner = Manner::cannot_start;
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.failed"));
  EXPECT_EQ(2, shared().living);
  EXPECT_EQ(0, shared().drained);
  shared().manner = Manner::serves;
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.done"));
  EXPECT_TRUE(wait_until([] { return shared().drained == 2 && shared().living == 2; }));
}

TEST_F(SupervisorTest, AfterManySighupsOneGenerationServes) {
  start_and_wait();
  for (int i = 0; i < 100; ++i) ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.done"));
  EXPECT_TRUE(wait_until([&] {
    return lines_with("reload.done") == lines_with("reload.started") && shared().living == 2;
  }));
  EXPECT_LT(lines_with("reload.started"), 20);
  EXPECT_EQ(0, stop(SIGTERM));
}

TEST_F(SupervisorTest, AFirstGenerationThatCannotStartEndsTheMaster) {
  shared().manner = Manner::cannot_start;
  start();
  EXPECT_EQ(1, wait_for_exit());
  EXPECT_EQ(1, lines_with("master.start_failed"));
}

TEST_F(SupervisorTest, AWrongFirstConfigurationEndsTheMaster) {
  write_config("bogus: 1\n");
  start();
  EXPECT_EQ(1, wait_for_exit());
  EXPECT_EQ(0, shared().forks);
}

TEST_F(SupervisorTest, TermCutsStreamsAfterTheStopTimeout) {
  write_config("drain: {stop_timeout: 300ms}\n");
  shared().manner = Manner::ignores_drain;
  start_and_wait();
  EXPECT_EQ(0, stop(SIGTERM));
  EXPECT_EQ(2, shared().drained);
  EXPECT_EQ(2, shared().left_at_once);
}

TEST_F(SupervisorTest, ASecondTermStopsAtOnce) {
  shared().manner = Manner::ignores_drain;
  start_and_wait();
  ::kill(master_, SIGTERM);
  ASSERT_TRUE(wait_until([] { return shared().drained == 2; }));
  EXPECT_EQ(0, stop(SIGTERM));
  EXPECT_EQ(2, shared().left_at_once);
}

TEST_F(SupervisorTest, DrainTimeoutLimitsTheOldGeneration) {
  write_config("drain: {timeout: 300ms}\n");
  shared().manner = Manner::ignores_drain;
  start_and_wait();
  shared().manner = Manner::serves;
  ::kill(master_, SIGHUP);
  ASSERT_TRUE(wait_for("reload.done"));
  EXPECT_TRUE(wait_until([] { return shared().left_at_once == 2; }));
}

TEST_F(SupervisorTest, WorkersExitWhenTheMasterDies) {
  start_and_wait();
  ::kill(master_, SIGKILL);
  ::waitpid(master_, nullptr, 0);
  master_ = 0;
  EXPECT_TRUE(wait_until([] { return shared().orphaned == 2; }));
}

TEST_F(SupervisorTest, Usr1ReopensTheLogEverywhere) {
  start_and_wait();
  ASSERT_EQ(0, ::rename((folder_ + "/log").c_str(), (folder_ + "/log.1").c_str()));
  ::kill(master_, SIGUSR1);
  EXPECT_TRUE(wait_for("log.reopened"));
  EXPECT_TRUE(wait_until([] { return shared().reopened == 2; }));
}

TEST_F(SupervisorTest, Usr2LogsTheLiveState) {
  start_and_wait();
  ::kill(master_, SIGUSR2);
  EXPECT_TRUE(wait_for("state.worker", 2));
  EXPECT_EQ(1, lines_with("state.master"));
}

TEST_F(SupervisorTest, DescriptorsDoNotGrowWithReloads) {
  start_and_wait();
  const auto open_files = [&] {
    int found = 0;
    const std::string fds = "/proc/" + std::to_string(master_) + "/fd/";
    for (int fd = 0; fd < 256; ++fd) {
      struct stat info {};
      if (::lstat((fds + std::to_string(fd)).c_str(), &info) == 0) ++found;
    }
    return found;
  };
  const int before = open_files();
  for (int i = 1; i <= 3; ++i) {
    ::kill(master_, SIGHUP);
    ASSERT_TRUE(wait_for("reload.done", i));
  }
  // The status file is open for a moment at each change.
  EXPECT_TRUE(wait_until([&] { return open_files() <= before; }));
}

}  // namespace
}  // namespace streamgate
