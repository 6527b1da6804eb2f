#include "worker/cache/purges.h"

#include <event2/event.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "worker/loop/event.h"

namespace streamgate {
namespace {

// A worker: its seat, and what it was ordered to drop.
class PurgingWorker : private Purges::Keeper, private Purges::Observer {
 public:
  PurgingWorker(CacheDirectory& directory, TimerWheel& wheel, uint64_t owned)
      : seat_(directory, *directory.take()), owned_(owned), purges_(seat_, *this, wheel) {}

  void order(const std::string& url, PurgeOrder::Reach reach = PurgeOrder::Reach::url) {
    purges_.order({url, reach}, *this);
  }
  void forget() { purges_.forget(*this); }
  void look() { purges_.look(); }

  std::vector<std::string> ordered;
  std::vector<PurgeOutcome> outcomes;

 private:
  uint64_t drop(const PurgeOrder& order) override {
    ordered.push_back(order.url + (order.reach == PurgeOrder::Reach::prefix ? "*" : ""));
    return owned_;
  }
  void on_purged(const PurgeOutcome& outcome) override { outcomes.push_back(outcome); }

  CacheSeat seat_;
  const uint64_t owned_;
  Purges purges_;
};

int64_t now = 0;
int64_t clock_of_test() { return now; }

class PurgesTest : public ::testing::Test {
 protected:
  using Texts = std::vector<std::string>;

  PurgesTest() : base_(event_base_new()), wheel_(base_.get(), clock_of_test) {
    one_.emplace(directory_, wheel_, 1);
    other_.emplace(directory_, wheel_, 10);
  }

  // Lets the wheel see the time.
  void turn() { event_base_loop(base_.get(), EVLOOP_ONCE); }

  EventBase base_;
  TimerWheel wheel_;
  CacheDirectory directory_ = *CacheDirectory::create(4);
  std::optional<PurgingWorker> one_;
  std::optional<PurgingWorker> other_;
};

TEST_F(PurgesTest, AllWorkersCarryAnOrderOutOnceAndItsOutcomeIsTheSum) {
  one_->order("http://a/", PurgeOrder::Reach::prefix);
  EXPECT_EQ(Texts{"http://a/*"}, one_->ordered);
  EXPECT_TRUE(one_->outcomes.empty());
  other_->look();
  other_->look();
  EXPECT_EQ(Texts{"http://a/*"}, other_->ordered);
  one_->look();
  ASSERT_EQ(1U, one_->outcomes.size());
  EXPECT_EQ(11U, one_->outcomes[0].dropped);
  EXPECT_EQ(0U, one_->outcomes[0].silent);
  EXPECT_TRUE(other_->outcomes.empty());
}

TEST_F(PurgesTest, FurtherOrdersWait) {
  one_->order("http://a/");
  one_->order("http://b/");
  other_->look();
  EXPECT_EQ(Texts{"http://a/"}, other_->ordered);
  one_->look();
  other_->look();
  EXPECT_EQ((Texts{"http://a/", "http://b/"}), other_->ordered);
  one_->look();
  EXPECT_EQ(2U, one_->outcomes.size());
}

TEST_F(PurgesTest, TwoWorkersMayOrderAtTheSameTime) {
  one_->order("http://a/");
  other_->order("http://b/");
  one_->look();
  other_->look();
  one_->look();
  EXPECT_EQ((Texts{"http://a/", "http://b/"}), one_->ordered);
  EXPECT_EQ((Texts{"http://b/", "http://a/"}), other_->ordered);
  EXPECT_EQ(1U, one_->outcomes.size());
  EXPECT_EQ(1U, other_->outcomes.size());
}

TEST_F(PurgesTest, AWorkerThatStartsLaterIsNotAskedForEarlierOrders) {
  one_->order("http://a/");
  PurgingWorker late(directory_, wheel_, 100);
  other_->look();
  late.look();
  one_->look();
  EXPECT_TRUE(late.ordered.empty());
  ASSERT_EQ(1U, one_->outcomes.size());
  EXPECT_EQ(11U, one_->outcomes[0].dropped);
  one_->order("http://b/");
  other_->look();
  EXPECT_EQ(1U, one_->outcomes.size()) << "the late one has not answered";
  late.look();
  one_->look();
  EXPECT_EQ(111U, one_->outcomes.at(1).dropped);
}

TEST_F(PurgesTest, ADeadWorkerIsNotWaitedForAndItsColumnBeginsAnew) {
  one_->order("http://a/");
  other_.reset();
  directory_.bury(1);
  one_->look();
  ASSERT_EQ(1U, one_->outcomes.size());
  EXPECT_EQ(1U, one_->outcomes[0].dropped);
  other_.emplace(directory_, wheel_, 10);
  other_->order("http://b/");
  one_->look();
  EXPECT_EQ((Texts{"http://a/", "http://b/"}), one_->ordered);
}

TEST_F(PurgesTest, AWorkerThatIsSilentForFiveSecondsIsReported) {
  one_->order("http://a/");
  now += 4'000;
  turn();
  EXPECT_TRUE(one_->outcomes.empty());
  now += 2'000;
  turn();
  ASSERT_EQ(1U, one_->outcomes.size());
  EXPECT_EQ(1U, one_->outcomes[0].dropped);
  EXPECT_EQ(1U, one_->outcomes[0].silent);
}

TEST_F(PurgesTest, AForgottenOrderIsCarriedOutAllTheSame) {
  one_->order("http://a/");
  one_->forget();
  other_->look();
  one_->look();
  EXPECT_EQ(Texts{"http://a/"}, other_->ordered);
  EXPECT_TRUE(one_->outcomes.empty());
}

TEST(PurgeOrder, AUrlIsComparedAsAWholeAndAPrefixAsTheBeginning) {
  const PurgeOrder url{"http://a/b", PurgeOrder::Reach::url};
  EXPECT_TRUE(url.covers("http://a/b"));
  EXPECT_FALSE(url.covers("http://a/bc"));
  const PurgeOrder prefix{"http://a/b", PurgeOrder::Reach::prefix};
  EXPECT_TRUE(prefix.covers("http://a/bc"));
  EXPECT_FALSE(prefix.covers("http://a/"));
}

}  // namespace
}  // namespace streamgate
