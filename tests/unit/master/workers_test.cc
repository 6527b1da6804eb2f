// Workers with real child processes, which wait for one signal and exit with its number.
#include "master/workers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "master/process/child_process.h"
#include "master/service/limits.h"

namespace streamgate {
namespace {

constexpr Milliseconds kSecond{1'000};

int wait_for_one_signal() {
  const sigset_t signals = master_signals();
  int number = 0;
  ::sigwait(&signals, &number);
  return number;
}

Workers with_slots(size_t slots) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(0, ::pipe2(ends, O_CLOEXEC));
  return Workers(*Scoreboard::create(slots), {UniqueFd(ends[0]), UniqueFd(ends[1])}, {});
}

class WorkersTest : public testing::Test {
 protected:
  // As in the master: a signal that arrives before the child waits for it stays pending.
  void SetUp() override {
    const sigset_t signals = master_signals();
    ::sigprocmask(SIG_BLOCK, &signals, &before_);
  }
  void TearDown() override {
    for (const WorkerProcess& worker : workers_) {
      ::kill(worker.identity().pid, SIGKILL);
      ::waitpid(worker.identity().pid, nullptr, 0);
    }
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }

  WorkerProcess::Identity start(uint64_t generation, WorkerState state = WorkerState::ready) {
    const auto started =
        workers_.start(generation, 0, [](unsigned) { return wait_for_one_signal(); });
    EXPECT_TRUE(started);
    workers_.scoreboard().column(started->slot_index).slot.state = state;
    return *started;
  }

  // The signal that ended the worker or that it waited for; SIGKILL if none came within 5 s. Takes
  // the worker off the list.
  int last_signal_of(const WorkerProcess::Identity& worker) {
    int status = 0;
    const int64_t end = monotonic_ms() + 5'000;
    while (::waitpid(worker.pid, &status, WNOHANG) == 0) {
      if (monotonic_ms() >= end) ::kill(worker.pid, SIGKILL);
      ::poll(nullptr, 0, 1);
    }
    const auto removed = workers_.remove(worker.pid);
    EXPECT_TRUE(removed);
    if (removed) workers_.retire(*removed);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  }

  bool has_been_signalled(const WorkerProcess::Identity& worker) {
    siginfo_t info{};
    ::poll(nullptr, 0, 50);
    EXPECT_EQ(0,
              ::waitid(P_PID, static_cast<id_t>(worker.pid), &info, WEXITED | WNOHANG | WNOWAIT));
    return info.si_pid != 0;
  }

  Workers workers_ = with_slots(8);
  sigset_t before_{};
};

TEST_F(WorkersTest, StartRunsTheBodyWithTheSlotOfTheWorker) {
  const auto first =
      workers_.start(3, 1, [](unsigned slot) { return 40 + static_cast<int>(slot); });
  const auto second =
      workers_.start(3, 2, [](unsigned slot) { return 40 + static_cast<int>(slot); });
  ASSERT_TRUE(first && second);
  EXPECT_EQ(2U, workers_.size());
  EXPECT_EQ(3U, first->generation);
  EXPECT_EQ(2U, second->place);
  EXPECT_TRUE(workers_.scoreboard().view().is_live(1));
  EXPECT_EQ(3U, workers_.scoreboard().view().assignments[1].generation);
  EXPECT_EQ(40, last_signal_of(*first));
  EXPECT_EQ(41, last_signal_of(*second));
  EXPECT_TRUE(workers_.empty());
}

TEST_F(WorkersTest, StartFailsWithoutAFreeSlotAndWorksAgainAfterRetire) {
  Workers one = with_slots(1);
  const auto exit_at_once = [](unsigned) { return 0; };
  const auto only = one.start(1, 0, exit_at_once);
  ASSERT_TRUE(only);
  const auto refused = one.start(1, 0, exit_at_once);
  ASSERT_FALSE(refused);
  EXPECT_EQ("too many workers are still draining", refused.error().detail);
  ::waitpid(only->pid, nullptr, 0);
  one.retire(*one.remove(only->pid));
  const auto next = one.start(1, 0, exit_at_once);
  ASSERT_TRUE(next);
  ::waitpid(next->pid, nullptr, 0);
}

TEST_F(WorkersTest, RemoveIgnoresProcessesThatAreNotWorkers) {
  start(1);
  EXPECT_FALSE(workers_.remove(::getpid()));
  EXPECT_EQ(1U, workers_.size());
}

TEST_F(WorkersTest, ARemovedWorkerKeepsItsSlotUntilRetire) {
  const auto worker = start(1);
  count(workers_.scoreboard().column(0).slot.counters, Counter::exchanges_started, 5);
  workers_.interrupt_all(0, kSecond);
  ::waitpid(worker.pid, nullptr, 0);
  const auto removed = workers_.remove(worker.pid);
  ASSERT_TRUE(removed);
  EXPECT_EQ(5U, removed->slot().counters[Counter::exchanges_started]);
  workers_.retire(*removed);
  EXPECT_EQ(0U, start(1).slot_index);
  EXPECT_EQ(5U, workers_.total(Counter::exchanges_started));
}

TEST_F(WorkersTest, EachWorkerIsNewlyReadyOnce) {
  const auto early = start(1);
  const auto late = start(1, WorkerState::starting);
  EXPECT_TRUE(workers_.any_awaited());
  auto ready = workers_.take_newly_ready();
  ASSERT_EQ(1U, ready.size());
  EXPECT_EQ(early.pid, ready[0].pid);
  EXPECT_TRUE(workers_.any_awaited());
  workers_.scoreboard().column(late.slot_index).slot.state = WorkerState::ready;
  ready = workers_.take_newly_ready();
  ASSERT_EQ(1U, ready.size());
  EXPECT_EQ(late.pid, ready[0].pid);
  EXPECT_FALSE(workers_.any_awaited());
  EXPECT_TRUE(workers_.take_newly_ready().empty());
}

TEST_F(WorkersTest, CountsAreOfOneGeneration) {
  start(1);
  start(2);
  start(2);
  start(2, WorkerState::starting);
  EXPECT_EQ(1U, workers_.ready(1));
  EXPECT_EQ(2U, workers_.ready(2));
  EXPECT_EQ(2U, workers_.serving(2));
  EXPECT_EQ(0U, workers_.draining());
  workers_.drain_all_except(1, 0, std::nullopt);
  EXPECT_EQ(3U, workers_.draining());
  EXPECT_EQ(2U, workers_.ready(2));
  EXPECT_EQ(0U, workers_.serving(2));
  EXPECT_EQ(1U, workers_.serving(1));
}

TEST_F(WorkersTest, DrainAllExceptSparesOneGeneration) {
  const auto old = start(1);
  const auto current = start(2);
  workers_.drain_all_except(2, 0, std::nullopt);
  EXPECT_EQ(SIGQUIT, last_signal_of(old));
  EXPECT_FALSE(has_been_signalled(current));
  workers_.drain_all(0, kSecond);
  EXPECT_EQ(SIGQUIT, last_signal_of(current));
}

TEST_F(WorkersTest, WithdrawDrainsReadyWorkersAndEndsTheOthers) {
  const auto serving = start(1);
  const auto ready = start(2);
  const auto starting = start(2, WorkerState::starting);
  workers_.withdraw(2, 0, std::nullopt);
  EXPECT_EQ(SIGQUIT, last_signal_of(ready));
  EXPECT_EQ(SIGINT, last_signal_of(starting));
  EXPECT_FALSE(has_been_signalled(serving));
}

TEST_F(WorkersTest, EscalateSendsAnOrderOnlyAtTheEarliestDeadline) {
  const auto patient = start(1);
  const auto hasty = start(2);
  EXPECT_EQ(std::nullopt, workers_.next_deadline_ms());
  workers_.drain_all_except(2, 0, Milliseconds(500));
  workers_.drain_all_except(1, 0, Milliseconds(200));
  EXPECT_EQ(200, workers_.next_deadline_ms());
  EXPECT_EQ(SIGQUIT, [&] {  // it waits for one signal only, so it has exited by now
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(hasty.pid), &info, WEXITED | WNOWAIT);
    return info.si_status;
  }());
  workers_.escalate(199);
  EXPECT_EQ(200, workers_.next_deadline_ms());
  workers_.escalate(200);  // SIGINT to `hasty`, whose next deadline is later than that of `patient`
  EXPECT_EQ(500, workers_.next_deadline_ms());
  EXPECT_EQ(SIGQUIT, last_signal_of(patient));
}

TEST_F(WorkersTest, AWorkerWithoutABeatIsStuckUntilItIsAborted) {
  const auto worker = start(1);
  Slot& slot = workers_.scoreboard().column(worker.slot_index).slot;
  slot.beat_ms = 10'000;
  EXPECT_TRUE(workers_.stuck(10'999, kSecond).empty());
  EXPECT_TRUE(workers_.any_beat_within(10'999, kSecond));
  EXPECT_FALSE(workers_.any_beat_within(11'000, kSecond));
  const auto stuck = workers_.stuck(11'000, kSecond);
  ASSERT_EQ(1U, stuck.size());
  EXPECT_EQ(worker.pid, stuck[0]->identity().pid);
  stuck[0]->abort(11'000);
  EXPECT_TRUE(workers_.stuck(11'000, kSecond).empty());
  EXPECT_EQ(SIGABRT, last_signal_of(worker));
}

TEST_F(WorkersTest, AStartingWorkerIsStuckOnlyAfterTheReadyLimit) {
  const int64_t before = monotonic_ms();
  const auto worker = start(1, WorkerState::starting);
  const int64_t after = monotonic_ms();
  workers_.scoreboard().column(worker.slot_index).slot.beat_ms = 0;
  EXPECT_TRUE(workers_.stuck(before + kReadyLimitMs - 1, kSecond).empty());
  EXPECT_EQ(1U, workers_.stuck(after + kReadyLimitMs, kSecond).size());
}

TEST_F(WorkersTest, SendAllReachesEveryGeneration) {
  const auto old = start(1);
  const auto current = start(2);
  workers_.send_all(SIGUSR1);
  EXPECT_EQ(SIGUSR1, last_signal_of(old));
  EXPECT_EQ(SIGUSR1, last_signal_of(current));
}

TEST_F(WorkersTest, AChildDoesNotKeepTheLifelineOfTheMaster) {
  Workers in_child = with_slots(1);
  const int write_end = in_child.lifeline().write_end.get();
  in_child.close_in_child();
  EXPECT_LT(::fcntl(write_end, F_GETFD), 0);
  EXPECT_GE(::fcntl(in_child.lifeline().read_end.get(), F_GETFD), 0);
}

// A worker that another program has started writes to that program's scoreboard.
TEST_F(WorkersTest, WorkersOfAnotherProgramAreMirroredAndSeeTheStop) {
  auto other = *Scoreboard::create(4);
  ASSERT_EQ(0U, other.take(1));
  auto board = ForeignScoreboard::open(UniqueFd(::dup(other.file())), own_layout(4));
  ASSERT_TRUE(board);
  auto scoreboard = *Scoreboard::create(2);
  const unsigned copy = *scoreboard.take(1);
  Slot& slot = scoreboard.column(copy).slot;
  std::vector<WorkerProcess> handed_over;
  handed_over.emplace_back(
      WorkerProcess::Identity{4711, copy, 1, 0}, slot, WorkerProcess::Standing{},
      WorkerProcess::Home{std::make_shared<ForeignScoreboard>(*std::move(board)), 0});
  Workers workers(std::move(scoreboard), {}, std::move(handed_over));

  other.column(0).slot.state = WorkerState::ready;
  EXPECT_EQ(0U, workers.ready(1));
  workers.mirror();
  EXPECT_EQ(1U, workers.ready(1));
  workers.announce_stop();
  EXPECT_TRUE(other.board().service_stopping);
  EXPECT_TRUE(workers.scoreboard().board().service_stopping);
  count(other.column(0).slot.counters, Counter::bytes_to_clients, 9);
  EXPECT_EQ(9U, workers.remove(4711)->slot().counters[Counter::bytes_to_clients]);
}

TEST_F(WorkersTest, TheOldestDrainingGenerationLeavesFirstAndAlone) {
  const auto newest = start(4);
  EXPECT_EQ(workers_.oldest_draining(), std::nullopt);
  const auto younger = start(3);
  const auto oldest = start(2);
  workers_.drain_all_except(4, 1'000, std::nullopt);
  EXPECT_EQ(workers_.oldest_draining(), 2U);
  workers_.interrupt_generation(2, 1'000, kSecond);
  EXPECT_EQ(workers_.oldest_draining(), std::nullopt);
  for (const WorkerProcess& worker : workers_) {
    const auto expected =
        worker.identity().generation == newest.generation    ? WorkerProcess::Order::serve
        : worker.identity().generation == younger.generation ? WorkerProcess::Order::drain
                                                             : WorkerProcess::Order::interrupt;
    EXPECT_EQ(expected, worker.order());
  }
  ::waitpid(oldest.pid, nullptr, 0);
  workers_.remove(oldest.pid);
  EXPECT_EQ(workers_.oldest_draining(), 3U);
}

}  // namespace
}  // namespace streamgate
