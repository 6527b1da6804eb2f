// The steps of a reload, with a real check, real sockets and real children in place of workers.
#include "master/reload.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "common/config.h"

namespace streamgate {
namespace {

constexpr uint64_t kNumber = 7;

class FakeMaster final : public Reload::Forker {
 public:
  Result<Probe> start_check(const Generation&) override {
    return Probe::start([this]() -> Result<void> {
      if (check_hangs) ::pause();
      if (check_problem.empty()) return {};
      return Error{Reason::internal, check_problem};
    });
  }
  Result<void> start_worker(const Generation& generation, unsigned place) override {
    if (place == cannot_fork) return Error{Reason::internal, "no more processes"};
    const auto started = workers.start(generation.number, place, [](unsigned) {
      const sigset_t signals = master_signals();
      int number = 0;
      ::sigwait(&signals, &number);
      return number;
    });
    return started ? Result<void>() : started.error();
  }

  void make_ready(unsigned slot) {
    workers.scoreboard().column(slot).slot.state = WorkerState::ready;
  }

  bool check_hangs = false;
  std::string check_problem;
  std::optional<unsigned> cannot_fork;
  Workers workers = *Workers::create();
};

class ReloadTest : public testing::Test {
 protected:
  void SetUp() override {
    const sigset_t signals = master_signals();
    ::sigprocmask(SIG_BLOCK, &signals, &before_);
    ::mkdtemp(folder_);
  }
  void TearDown() override {
    for (const WorkerProcess& worker : master_.workers) {
      ::kill(worker.identity().pid, SIGKILL);
      ::waitpid(worker.identity().pid, nullptr, 0);
    }
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
    ::unlink(socket_path().c_str());
    ::rmdir(folder_);
  }

  std::string socket_path() const { return std::string(folder_) + "/s"; }
  bool socket_exists() const { return ::access(socket_path().c_str(), F_OK) == 0; }

  Config config() const {
    Config out = default_config();
    out.listen = {{*SocketAddress::parse("unix:" + socket_path()), std::nullopt}};
    out.workers = 2;
    out.user = "nobody";  // exists everywhere: the test may run as root
    out.log = {.level = LogLevel::error, .access = "off", .error = "stderr"};
    return out;
  }

  Reload begin() {
    auto begun = Reload::begin(kNumber, config(), master_);
    EXPECT_TRUE(begun) << begun.error().detail;
    return *std::move(begun);
  }
  Reload::Progress advance(Reload& reload) {
    return reload.advance(master_, live_, master_.workers);
  }
  // waitpid() returns the check, because no other child has ended yet.
  static void wait_for_check(Reload& reload) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, 0);
    EXPECT_FALSE(reload.on_child_exit(::getpid(), 0));
    EXPECT_TRUE(reload.on_child_exit(pid, status));
  }

  FakeMaster master_;
  Listeners live_;
  char folder_[32] = "/tmp/streamgate-test-XXXXXX";
  sigset_t before_{};
};

TEST_F(ReloadTest, BindsAndStartsAfterTheCheckAndIsDoneWhenAllAreReady) {
  Reload reload = begin();
  EXPECT_TRUE(reload.starts(kNumber));
  EXPECT_EQ(Reload::Progress::running, advance(reload));
  EXPECT_FALSE(socket_exists());
  EXPECT_TRUE(master_.workers.empty());
  wait_for_check(reload);
  EXPECT_FALSE(socket_exists());
  EXPECT_EQ(Reload::Progress::running, advance(reload));
  EXPECT_TRUE(socket_exists());
  EXPECT_EQ(2U, master_.workers.size());
  master_.make_ready(0);
  EXPECT_EQ(Reload::Progress::running, advance(reload));
  master_.make_ready(1);
  EXPECT_EQ(Reload::Progress::done, advance(reload));
  const auto generation = reload.take_generation();
  EXPECT_EQ(kNumber, generation->number);
  EXPECT_TRUE(generation->places[0].taken && generation->places[1].taken);
}

TEST_F(ReloadTest, AFailedCheckBindsAndStartsNothing) {
  master_.check_problem = "no such authority";
  Reload reload = begin();
  wait_for_check(reload);
  EXPECT_EQ(Reload::Progress::failed, advance(reload));
  EXPECT_EQ("no such authority", reload.failure());
  EXPECT_FALSE(socket_exists());
  EXPECT_TRUE(master_.workers.empty());
}

TEST_F(ReloadTest, FailsIfAnAddressCannotBeBound) {
  Reload reload = begin();
  const auto rival = Listener::bind(config().listen[0].address);
  ASSERT_TRUE(rival);
  wait_for_check(reload);
  EXPECT_EQ(Reload::Progress::failed, advance(reload));
  EXPECT_NE(std::string::npos, reload.failure().find("another process listens on it"));
  EXPECT_TRUE(master_.workers.empty());
}

TEST_F(ReloadTest, FailsIfAWorkerCannotBeForked) {
  master_.cannot_fork = 1;
  Reload reload = begin();
  wait_for_check(reload);
  EXPECT_EQ(Reload::Progress::failed, advance(reload));
  EXPECT_EQ("no more processes", reload.failure());
  EXPECT_EQ(1U, master_.workers.size());
}

TEST_F(ReloadTest, KeepsTheFirstReasonOfAFailure) {
  Reload reload = begin();
  wait_for_check(reload);
  ASSERT_EQ(Reload::Progress::running, advance(reload));
  reload.fail("first");
  reload.fail("second");
  master_.make_ready(0);
  master_.make_ready(1);
  EXPECT_EQ(Reload::Progress::failed, advance(reload));
  EXPECT_EQ("first", reload.failure());
}

TEST_F(ReloadTest, UndoRemovesTheSocketsAndEndsTheWorkers) {
  Reload reload = begin();
  wait_for_check(reload);
  ASSERT_EQ(Reload::Progress::running, advance(reload));
  master_.make_ready(1);
  reload.undo(master_.workers, live_, std::nullopt);
  EXPECT_FALSE(socket_exists());
  for (const WorkerProcess& worker : master_.workers) {
    const bool was_ready = worker.identity().slot_index == 1;
    EXPECT_EQ(was_ready ? WorkerProcess::Order::drain : WorkerProcess::Order::interrupt,
              worker.order());
  }
}

TEST_F(ReloadTest, UndoKillsARunningCheck) {
  master_.check_hangs = true;
  Reload reload = begin();
  reload.undo(master_.workers, live_, std::nullopt);
  int status = 0;
  ASSERT_GT(::waitpid(-1, &status, 0), 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(MaxDrainingWorkers, IsTheSettingOrEightForEachPlaceAndLeavesRoomInTheScoreboard) {
  Generation generation;
  generation.places.resize(4);
  EXPECT_EQ(32U, max_draining_workers(generation, 512));
  EXPECT_EQ(12U, max_draining_workers(generation, 20));
  EXPECT_EQ(1U, max_draining_workers(generation, 8));
  generation.config.drain.max_workers = 5;
  EXPECT_EQ(5U, max_draining_workers(generation, 512));
  EXPECT_EQ(2U, max_draining_workers(generation, 10));
}

}  // namespace
}  // namespace streamgate
