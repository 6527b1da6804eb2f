#include "worker/client/paced_refusals.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <deque>
#include <memory>
#include <vector>

#include "common/unique_fd.h"
#include "worker/loop/event.h"

namespace streamgate {
namespace {

int64_t the_time_us = 0;
int64_t fake_clock() { return the_time_us; }

constexpr int64_t kSecondUs = 1'000'000;

class PacedRefusalsTest : public testing::Test {
 protected:
  using Ending = PacedRefusals::Ending;

  struct Request {
    Request(PacedRefusals& refusals, std::vector<Request*>& answered)
        : answered_(answered), turn(refusals, this, [](void* self, Ending how) {
            auto& request = *static_cast<Request*>(self);
            request.ending = how;
            request.answered_.push_back(&request);
          }) {
      turn.wait();
    }
    std::vector<Request*>& answered_;
    Ending ending = Ending::in_turn;
    PacedRefusals::Turn turn;
  };

  // Refuses a request. Returns whether it is answered at once.
  bool refuse() {
    if (refusals_.may_answer_now()) return true;
    requests_.push_back(std::make_unique<Request>(refusals_, answered_));
    return false;
  }
  int64_t refuse_until_one_waits() {
    int64_t at_once = 0;
    while (refuse()) ++at_once;
    return at_once;
  }
  // Runs the event loop until three turns in a row have answered nothing.
  void run() {
    for (int idle = 0; idle < 3;) {
      const size_t before = answered_.size();
      if (event_base_loop(base_.get(), EVLOOP_ONCE) != 0) return;
      idle = answered_.size() > before ? 0 : idle + 1;
    }
  }
  void run_for(suseconds_t microseconds) {
    const timeval time{0, microseconds};
    event_base_loopexit(base_.get(), &time);
    event_base_dispatch(base_.get());
  }

  EventBase base_{make_base()};
  Reaper reaper_{base_.get()};
  WorkQueue work_{base_.get(), reaper_};
  PacedRefusals refusals_{base_.get(), work_, fake_clock};
  std::vector<Request*> answered_;
  std::deque<std::unique_ptr<Request>> requests_;

 private:
  static event_base* make_base() {
    event_base* base = event_base_new();
    event_base_priority_init(base, 3);
    return base;
  }
};

TEST_F(PacedRefusalsTest, FewRefusalsAreAnsweredAtOnce) {
  for (int64_t i = 0; i < 5 * PacedRefusals::kRate; ++i) {
    the_time_us += kSecondUs / PacedRefusals::kRate;
    EXPECT_TRUE(refuse());
  }
}

TEST_F(PacedRefusalsTest, ManyAreAnsweredInTheirOrderAndAtTheRate) {
  EXPECT_EQ(refuse_until_one_waits(), PacedRefusals::kBurst);
  for (int i = 0; i < 499; ++i) EXPECT_FALSE(refuse());
  run();
  EXPECT_TRUE(answered_.empty());
  the_time_us += kSecondUs / 5;
  run();
  EXPECT_EQ(answered_.size(), size_t{PacedRefusals::kBurst});
  for (size_t i = 0; i < answered_.size(); ++i) EXPECT_EQ(answered_[i], requests_[i].get());
  EXPECT_EQ(refusals_.waiting(), 500 - answered_.size());
  // A new one waits behind the others.
  the_time_us += kSecondUs / 5;
  EXPECT_FALSE(refuse());
}

TEST_F(PacedRefusalsTest, NoneWaitsLongerThanTheLimitIfTheWorkerHasNoFreeMoment) {
  // A client that always has bytes: one slice of the WorkQueue runs every 10 ms, and 1,000
  // documents wait for theirs.
  struct Document {
    explicit Document(WorkQueue& work) : slice(work, this, call<&Document::run>) {}
    void run() { slice.schedule(); }
    WorkQueue::Task slice;
  };
  std::deque<Document> documents;
  for (int i = 0; i < 1000; ++i) documents.emplace_back(work_).run();
  refuse_until_one_waits();
  the_time_us += PacedRefusals::kMaxWaitUs - kSecondUs / PacedRefusals::kRate;
  const UniqueFd readable(::eventfd(1, EFD_CLOEXEC));
  const Event busy(event_new(
      base_.get(), readable.get(), EV_READ | EV_PERSIST, [](int, short, void*) {}, nullptr));
  event_add(busy.get(), nullptr);
  run_for(25'000);
  EXPECT_TRUE(answered_.empty());
  the_time_us += kSecondUs / PacedRefusals::kRate;
  const int64_t begun_us = monotonic_us();
  while (answered_.empty()) run_for(25'000);
  EXPECT_EQ(answered_.size(), 1U);
  EXPECT_LT(monotonic_us() - begun_us, 5'000'000);
}

TEST_F(PacedRefusalsTest, TheNumberThatWaitIsBounded) {
  refuse_until_one_waits();
  while (refusals_.waiting() < PacedRefusals::kMaxWaiting) EXPECT_FALSE(refuse());
  EXPECT_TRUE(refuse());
  requests_.pop_front();
  EXPECT_FALSE(refuse());
}

TEST_F(PacedRefusalsTest, TheFirstMayEndForItsRoom) {
  EXPECT_FALSE(refusals_.end_first());
  refuse_until_one_waits();
  EXPECT_FALSE(refuse());
  EXPECT_TRUE(refusals_.end_first());
  ASSERT_EQ(answered_.size(), 1U);
  EXPECT_EQ(answered_[0], requests_[0].get());
  EXPECT_EQ(answered_[0]->ending, Ending::for_room);
  EXPECT_EQ(refusals_.waiting(), 1U);
}

TEST_F(PacedRefusalsTest, ARequestWhoseClientLeavesLosesItsTurn) {
  refuse_until_one_waits();
  EXPECT_FALSE(refuse());
  requests_.pop_front();
  the_time_us += kSecondUs;
  run();
  ASSERT_EQ(answered_.size(), 1U);
  EXPECT_EQ(answered_[0], requests_[0].get());
}

}  // namespace
}  // namespace streamgate
