// The Handover of a service, taken over in the process of the test.
#include "master/upgrade/inheritance.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "common/memory_file.h"

namespace streamgate {
namespace {

int option_of(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

class InheritanceTest : public testing::Test {
 protected:
  void SetUp() override {
    config_ = default_config();
    config_.listen = {{*SocketAddress::parse("127.0.0.1:0"), std::nullopt}};
    // An account that exists everywhere: the test may run as root.
    config_.user = "nobody";
    config_.cors.allow_origin = {"https://a.example"};
    auto bound = bind_listeners(std::vector{config_.listen[0].address}, {});
    ASSERT_TRUE(bound);
    listeners_ = *std::move(bound);
    auto made = Scoreboard::create(kSlots);
    ASSERT_TRUE(made);
    scoreboard_.emplace(*std::move(made));
    int ends[2];
    ASSERT_EQ(0, ::pipe2(ends, O_CLOEXEC));
    lifeline_[0].reset(ends[0]);
    lifeline_[1].reset(ends[1]);
  }

  // With duplicates of the descriptors, which Inheritance::take() closes.
  Handover handover() const {
    Handover out;
    out.service.pid = ::getpid();
    out.service.lifeline_read = ::dup(lifeline_[0].get());
    out.service.lifeline_write = ::dup(lifeline_[1].get());
    for (const auto& listener : listeners_) {
      out.listeners.push_back(
          {::dup(listener->fd()), listener->configured().to_string(), 0, 0, false, {}});
    }
    out.boards.push_back({::dup(scoreboard_->file()), own_layout(kSlots)});
    out.generation = {5, 2};
    out.settings = settings_of(config_);
    return out;
  }

  Config config_;
  Listeners listeners_;
  std::optional<Scoreboard> scoreboard_;
  UniqueFd lifeline_[2];
};

std::string refusal_of(const Handover& handover) {
  const auto taken = Inheritance::take(handover);
  return taken ? "none" : taken.error().detail;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_F(InheritanceTest, TheServingGenerationIsTakenOverUnchanged) {
  Handover before = handover();
  before.workers.push_back({4711, 3, 5, 1, {}, 0, 0});
  const auto taken = Inheritance::take(before);
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_EQ(5U, taken->generation.number);
  EXPECT_EQ(config_, taken->generation.config);
  ASSERT_EQ(1U, taken->generation.listeners.size());
  EXPECT_EQ(listeners_[0]->bound().to_string(),
            taken->generation.listeners[0]->bound().to_string());
  EXPECT_EQ("127.0.0.1:0", taken->generation.listeners[0]->configured().to_string());
  EXPECT_EQ(1, option_of(taken->generation.sockets[0].fd, SO_ACCEPTCONN));
  ASSERT_EQ(2U, taken->generation.places.size());
  EXPECT_FALSE(taken->generation.places[0].taken);
  EXPECT_TRUE(taken->generation.places[1].taken);
  for (const int fd :
       {taken->lifeline_read.get(), taken->generation.sockets[0].fd, taken->scoreboard.file()}) {
    EXPECT_EQ(FD_CLOEXEC, ::fcntl(fd, F_GETFD));
  }
}

TEST_F(InheritanceTest, AScoreboardWithTheSameLayoutIsShared) {
  scoreboard_->take(5);
  scoreboard_->column(0).slot.counters[Counter::exchanges_started] = 8;
  Handover before = handover();
  before.workers.push_back(
      {4711, 0, 4, 9, {WorkerProcess::Order::drain, std::nullopt, true}, 0, 0});
  auto taken = Inheritance::take(before);
  ASSERT_TRUE(taken) << taken.error().detail;
  scoreboard_->column(0).slot.counters[Counter::exchanges_started] = 9;
  EXPECT_EQ(9U, taken->workers[0].slot().counters[Counter::exchanges_started]);
  EXPECT_EQ(WorkerProcess::Order::drain, taken->workers[0].order());
  EXPECT_FALSE(taken->workers[0].home());
  EXPECT_EQ(1U, taken->scoreboard.take(5));
}

// Totals must not fall when the layout changes: neither at once, nor while the old worker runs, nor
// when it leaves.
TEST_F(InheritanceTest, TotalsIncludeAScoreboardWithAnotherLayout) {
  const auto total_of_all = [](Scoreboard& board) {
    return total_of(Counter::bytes_to_clients, board.view());
  };
  const unsigned old_slot = *scoreboard_->take(5);
  scoreboard_->take(5);
  count(scoreboard_->column(1).slot.counters, Counter::bytes_to_clients, 1000);
  scoreboard_->retire(1);
  Slot& old = scoreboard_->column(old_slot).slot;
  count(old.counters, Counter::bytes_to_clients, 50);
  old.state = WorkerState::ready;
  Handover before = handover();
  before.boards[0].layout.states["dancing"] = 12;  // the only difference
  before.workers.push_back({4711, old_slot, 5, 0, {}, 0, 0});
  auto taken = Inheritance::take(before);
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_EQ(1050U, total_of_all(taken->scoreboard));
  WorkerProcess& worker = taken->workers[0];
  ASSERT_TRUE(worker.home());
  EXPECT_TRUE(worker.is_ready());
  count(old.counters, Counter::bytes_to_clients, 7);
  worker.mirror();
  EXPECT_EQ(1057U, total_of_all(taken->scoreboard));
  const unsigned copy = worker.identity().slot_index;
  taken->workers.clear();
  taken->scoreboard.retire(copy);
  EXPECT_EQ(1057U, total_of_all(taken->scoreboard));
}

TEST_F(InheritanceTest, AWorkerKeepsItsHomeInLaterUpgrades) {
  Scoreboard first = *Scoreboard::create(4);
  first.take(1);
  count(first.column(0).slot.counters, Counter::bytes_to_clients, 3);
  ScoreboardLayout first_layout = own_layout(4);
  first_layout.states["dancing"] = 12;
  for (const bool layout_changes_again : {false, true}) {
    Handover before = handover();
    if (layout_changes_again) before.boards[0].layout.states["singing"] = 13;
    before.boards.push_back({::dup(first.file()), first_layout});
    before.workers.push_back({4711, 6, 1, 0, {}, 1, 0});
    const auto taken = Inheritance::take(before);
    ASSERT_TRUE(taken) << taken.error().detail;
    const WorkerProcess& worker = taken->workers[0];
    ASSERT_TRUE(worker.home());
    EXPECT_EQ(0U, worker.home()->slot_index);
    EXPECT_EQ(first_layout, worker.home()->board->layout());
    EXPECT_EQ(layout_changes_again ? 0U : 6U, worker.identity().slot_index);
    WorkerProcess same = worker;
    same.mirror();
    EXPECT_EQ(3U, same.slot().counters[Counter::bytes_to_clients]);
  }
}

TEST_F(InheritanceTest, SocketsOfTheServiceManagerAreMarkedAsItsOwn) {
  Handover before = handover();
  before.listeners[0].from_manager = true;
  before.listeners[0].configured.clear();
  Config plain = config_;
  plain.listen = default_config().listen;
  before.settings = settings_of(plain);
  const auto taken = Inheritance::take(before);
  ASSERT_TRUE(taken) << taken.error().detail;
  ASSERT_EQ(1U, taken->from_manager.size());
  EXPECT_EQ(taken->from_manager[0], taken->generation.listeners[0]);
  EXPECT_EQ(listeners_[0]->bound(), taken->generation.config.listen[0].address);
}

TEST_F(InheritanceTest, ACertificateInUseIsKeptWithoutItsFiles) {
  const ListenTls in_use{"/gone.pem", "/gone.key", "a chain", "a key"};
  for (const bool from_manager : {false, true}) {
    Handover before = handover();
    before.listeners[0].tls = in_use;
    before.listeners[0].from_manager = from_manager;
    Config config = config_;
    if (from_manager) {
      config.listen = default_config().listen;
    } else {
      config.listen[0].tls = in_use;
    }
    before.settings = settings_of(config);
    const auto taken = Inheritance::take(before);
    ASSERT_TRUE(taken) << taken.error().detail;
    EXPECT_EQ(in_use, taken->generation.config.listen[0].tls);
    EXPECT_EQ(in_use, taken->generation.sockets[0].tls);
  }
}

TEST_F(InheritanceTest, AnUnknownSettingIsRefusedUnlessItIsAtItsDefault) {
  const auto with_colour = [this](bool is_default) {
    Handover out = handover();
    const auto hls = std::find_if(out.settings.begin(), out.settings.end(),
                                  [](const auto& each) { return each.key.starts_with("hls."); });
    out.settings.insert(hls, {"hls.colour", "red", is_default});
    return out;
  };
  const auto taken = Inheritance::take(with_colour(true));
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_EQ(config_, taken->generation.config);
  EXPECT_NE(std::string::npos,
            refusal_of(with_colour(false)).find("hls.colour: is not a known key"));
}

TEST_F(InheritanceTest, RefusesWrongDescriptorsAndClosesAll) {
  Handover wrong = handover();
  ::close(wrong.listeners[0].fd);
  wrong.listeners[0].fd = ::dup(STDERR_FILENO);
  EXPECT_NE(std::string::npos, refusal_of(wrong).find("not a listening stream socket"));
  EXPECT_FALSE(is_open(wrong.listeners[0].fd));
  EXPECT_FALSE(is_open(wrong.service.lifeline_write));
  EXPECT_FALSE(is_open(wrong.boards[0].fd));
  wrong = handover();
  ::close(wrong.listeners[0].fd);
  EXPECT_NE(std::string::npos, refusal_of(wrong).find("was not handed over"));
  wrong = handover();
  ::close(wrong.service.lifeline_read);
  wrong.service.lifeline_read = wrong.service.lifeline_write;
  EXPECT_EQ("a descriptor was handed over twice", refusal_of(wrong));
  wrong = handover();
  wrong.listeners[0].configured = "127.0.0.1:1";
  EXPECT_EQ("the listeners are not those of the configuration in effect", refusal_of(wrong));
  wrong = handover();
  ::close(wrong.boards[0].fd);
  wrong.boards[0].fd = make_memory_file("test", "short")->release();
  EXPECT_EQ("the scoreboard is smaller than its slots", refusal_of(wrong));
}

}  // namespace
}  // namespace streamgate
