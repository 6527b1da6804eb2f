#include "worker/cache/seat.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace streamgate {
namespace {

using Object = CacheSeat::Object;

CacheKey key_of(uint64_t number) { return {{7, number, 0, 0}}; }

bool is_awake(const CacheSeat& seat) {
  pollfd wait{seat.waker(), POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

// Two seats in one process: without confine(), every process may write all of the directory.
class CacheSeatTest : public ::testing::Test {
 protected:
  CacheSeatTest() : directory_(*CacheDirectory::create(4)) {
    owner_.emplace(directory_, *directory_.take());
    reader_.emplace(directory_, *directory_.take());
  }

  Object claim(uint64_t number) { return *owner_->find_or_claim(key_of(number), 0); }

  void finish(const Object& object, int64_t fresh_until_ms) {
    owner_->publish(object, {CacheDirectory::body_offset(object.owner), 4, 6, 0, fresh_until_ms});
    owner_->set_state(object, CacheState::growing);
    owner_->set_filled(object, 6);
    owner_->set_state(object, CacheState::done);
  }

  CacheDirectory directory_;
  std::optional<CacheSeat> owner_;
  std::optional<CacheSeat> reader_;
};

TEST_F(CacheSeatTest, TheSecondToAskLeasesTheClaimOfTheFirst) {
  const Object claimed = claim(1);
  EXPECT_TRUE(owner_->owns(claimed));
  const auto leased = reader_->find_or_claim(key_of(1), 0);
  ASSERT_TRUE(leased);
  EXPECT_EQ(claimed, *leased);
  EXPECT_EQ(CacheState::claim, reader_->state_of(*leased));
  EXPECT_TRUE(owner_->is_leased(claimed));
}

TEST_F(CacheSeatTest, AClosedObjectIsNotGivenToNewRequestsAndStaysWhatItIs) {
  const Object claimed = claim(1);
  const auto leased = reader_->find(key_of(1), 0);
  ASSERT_TRUE(leased);
  owner_->close(claimed);
  EXPECT_FALSE(reader_->find(key_of(1), 0));
  EXPECT_EQ(CacheState::claim, reader_->state_of(*leased));
  // The row is as new for its next object.
  owner_->abandon(claimed);
  reader_->drop(*leased);
  owner_->free_abandoned();
  claim(1);
  EXPECT_TRUE(reader_->find(key_of(1), 0));
}

TEST_F(CacheSeatTest, AStaleObjectIsFoundOnlyByThoseWhoAskForIt) {
  const Object object = claim(1);
  EXPECT_FALSE(reader_->find_stale(key_of(1), 0)) << "it is not whole";
  finish(object, 100);
  EXPECT_FALSE(reader_->find(key_of(1), 100));
  const auto stale = reader_->find_stale(key_of(1), 100);
  ASSERT_TRUE(stale);
  EXPECT_EQ(object, *stale);
  EXPECT_TRUE(owner_->is_leased(object));
  reader_->drop(*stale);
  EXPECT_FALSE(reader_->find_stale(key_of(2), 100));
  owner_->close(object);
  EXPECT_FALSE(reader_->find_stale(key_of(1), 100));
}

TEST_F(CacheSeatTest, TheNewestWholePlaylistIsSeenWithoutALease) {
  const Object object = claim(1);
  owner_->set_edge(object, 7);
  EXPECT_FALSE(reader_->last_playlist(key_of(1))) << "it is not whole";
  finish(object, 100);
  const auto seen = reader_->last_playlist(key_of(1));
  ASSERT_TRUE(seen);
  EXPECT_EQ(7U, seen->edge);
  EXPECT_EQ(100, seen->fresh_until_ms);
  EXPECT_FALSE(owner_->is_leased(object));
  EXPECT_FALSE(reader_->last_playlist(key_of(2)));
  owner_->retire(object);
  EXPECT_FALSE(reader_->last_playlist(key_of(1)));
  ASSERT_TRUE(owner_->try_free(object));
  finish(claim(1), 100);
  EXPECT_FALSE(reader_->last_playlist(key_of(1))) << "an edge stays in its row";
}

TEST_F(CacheSeatTest, KeysOfOneBucketAreDifferentObjects) {
  const Object first = claim(1);
  const auto second = reader_->find_or_claim(key_of(2), 0);
  ASSERT_TRUE(second);
  EXPECT_TRUE(reader_->owns(*second));
  EXPECT_FALSE(owner_->is_leased(first));
}

TEST_F(CacheSeatTest, AnObjectThatIsStaleOrFailedIsNotFound) {
  finish(claim(1), 100);
  EXPECT_TRUE(reader_->find(key_of(1), 99));
  EXPECT_FALSE(reader_->find(key_of(2), 99));
  finish(claim(3), 100);
  EXPECT_FALSE(reader_->find(key_of(3), 100));
  const Object failed = claim(4);
  owner_->set_state(failed, CacheState::failed);
  EXPECT_FALSE(reader_->find(key_of(4), 0));
}

TEST_F(CacheSeatTest, ARowIsFreedOnlyWithoutLeases) {
  const Object object = claim(1);
  finish(object, 100);
  const auto lease = reader_->find(key_of(1), 0);
  ASSERT_TRUE(lease);
  owner_->retire(object);
  EXPECT_FALSE(reader_->find(key_of(1), 0)) << "a retired object is not given to new requests";
  EXPECT_FALSE(owner_->try_free(object));
  EXPECT_EQ(CacheState::retired, reader_->state_of(*lease)) << "and is still readable";
  owner_->wake_noted();
  EXPECT_TRUE(is_awake(*reader_)) << "the reader is asked for its lease";
  reader_->drop(*lease);
  EXPECT_TRUE(owner_->try_free(object));
  EXPECT_EQ(CacheState::free, owner_->state_of(object));
}

TEST_F(CacheSeatTest, AFreedRowGetsAnotherSerial) {
  const Object object = claim(1);
  owner_->retire(object);
  ASSERT_TRUE(owner_->try_free(object));
  const Object next = claim(2);
  EXPECT_EQ(object.row, next.row);
  EXPECT_NE(object.serial, next.serial);
  EXPECT_EQ(CacheState::free, owner_->state_of(object));
}

TEST_F(CacheSeatTest, OnlyAReaderThatWaitsIsWoken) {
  const Object object = claim(1);
  const auto lease = reader_->find(key_of(1), 0);
  ASSERT_TRUE(lease);
  owner_->notify(object);
  owner_->wake_noted();
  EXPECT_FALSE(is_awake(*reader_));
  EXPECT_TRUE(reader_->wait(*lease, CacheState::claim, 0));
  owner_->set_state(object, CacheState::growing);
  owner_->notify(object);
  owner_->wake_noted();
  EXPECT_TRUE(is_awake(*reader_));
  reader_->drain_waker();
  reader_->stop_waiting(*lease);
  owner_->notify(object);
  owner_->wake_noted();
  EXPECT_FALSE(is_awake(*reader_));
}

TEST_F(CacheSeatTest, WaitingForAChangeThatHasHappenedDoesNotWait) {
  const Object object = claim(1);
  const auto lease = reader_->find(key_of(1), 0);
  ASSERT_TRUE(lease);
  owner_->set_state(object, CacheState::growing);
  EXPECT_FALSE(reader_->wait(*lease, CacheState::claim, 0));
  owner_->set_filled(object, 5);
  EXPECT_FALSE(reader_->wait(*lease, CacheState::growing, 0));
  EXPECT_TRUE(reader_->wait(*lease, CacheState::growing, 5));
}

TEST_F(CacheSeatTest, TheLoserOfTwoClaimsFindsTheWinner) {
  // Another worker claims between the look and the claim: the version has been raised.
  const Object won = claim(1);
  std::atomic<uint64_t>& version = directory_.versions().of_bucket[key_of(1).bucket()];
  const uint64_t before = version.load();
  EXPECT_EQ(1U, before);
  const auto lost = reader_->find_or_claim(key_of(1), 0);
  ASSERT_TRUE(lost);
  EXPECT_EQ(won, *lost);
  EXPECT_EQ(before, version.load()) << "finding changes no version";
}

TEST_F(CacheSeatTest, ABucketTakesEightObjectsOfOneWorker) {
  for (uint64_t i = 0; i < kCacheWays; ++i) EXPECT_TRUE(owner_->find_or_claim(key_of(i), 0));
  EXPECT_FALSE(owner_->find_or_claim(key_of(100), 0));
  EXPECT_TRUE(reader_->find_or_claim(key_of(100), 0)) << "the buckets of columns are separate";
}

TEST_F(CacheSeatTest, BytesOutsideTheOwnersRangeAreRefused) {
  const Object object = claim(1);
  const uint64_t begin = CacheDirectory::body_offset(object.owner);
  EXPECT_NE(nullptr, reader_->bytes_of(object, begin, 10));
  EXPECT_EQ(nullptr, reader_->bytes_of(object, begin + kCacheBodyBytes - 5, 10));
  EXPECT_EQ(nullptr, reader_->bytes_of(object, begin, kCacheBodyBytes + 1));
  EXPECT_EQ(nullptr, reader_->bytes_of(object, begin + kCacheBodyBytes, 1));
  EXPECT_EQ(nullptr, reader_->bytes_of(object, UINT64_MAX - 4, 10));
}

TEST_F(CacheSeatTest, TheDeathOfTheOwnerBreaksWhatGrowsAndRetiresWhatIsDone) {
  claim(1);
  finish(claim(2), 100);
  const auto waits = reader_->find(key_of(1), 0);
  const auto reads = reader_->find(key_of(2), 0);
  ASSERT_TRUE(waits && reads);
  directory_.bury(owner_->column());
  EXPECT_EQ(CacheState::broken, reader_->state_of(*waits));
  EXPECT_EQ(CacheState::retired, reader_->state_of(*reads));
  EXPECT_TRUE(is_awake(*reader_));
  EXPECT_TRUE(directory_.is_mourning()) << "its objects are read";
  reader_->drop(*waits);
  directory_.sweep();
  EXPECT_TRUE(directory_.is_mourning());
  reader_->drop(*reads);
  directory_.sweep();
  EXPECT_FALSE(directory_.is_mourning());
  const auto again = reader_->find_or_claim(key_of(2), 0);
  ASSERT_TRUE(again);
  EXPECT_TRUE(reader_->owns(*again)) << "nothing of it is found any more";
}

TEST_F(CacheSeatTest, TheDeathOfAReaderEndsItsLeases) {
  const Object object = claim(1);
  finish(object, 100);
  ASSERT_TRUE(reader_->find(key_of(1), 0));
  owner_->retire(object);
  EXPECT_FALSE(owner_->try_free(object));
  directory_.bury(reader_->column());
  EXPECT_TRUE(owner_->try_free(object));
}

TEST_F(CacheSeatTest, AColumnIsNotReusedWhileItMourns) {
  claim(1);
  ASSERT_TRUE(reader_->find(key_of(1), 0));
  directory_.bury(owner_->column());
  EXPECT_EQ(2U, directory_.take());
  EXPECT_EQ(3U, directory_.take());
  EXPECT_EQ(std::nullopt, directory_.take());
}

TEST_F(CacheSeatTest, SerialsOfTheNextProcessInAColumnAreNew) {
  const Object object = claim(1);
  directory_.bury(owner_->column());
  const auto column = directory_.take();
  ASSERT_EQ(object.owner, column);
  CacheSeat next(directory_, *column);
  const auto claimed = next.find_or_claim(key_of(1), 0);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(object.row, claimed->row);
  EXPECT_NE(object.serial, claimed->serial);
}

// Runs `body` in a child that has column 0; returns its exit status or minus its signal.
int run_in_child(CacheDirectory& directory, const std::function<int(CacheSeat&)>& body) {
  const auto column = directory.take();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // not the sanitizer's report
    if (!directory.confine(*column)) ::_exit(100);
    CacheSeat seat(directory, *column);
    ::_exit(body(seat));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(CacheDirectory, AWorkerWritesItsOwnColumnAndTheVersionsOnly) {
  auto directory = *CacheDirectory::create(3);
  ASSERT_EQ(0U, directory.take());
  EXPECT_EQ(0, run_in_child(directory, [&](CacheSeat& seat) {
              const auto object = seat.find_or_claim(key_of(1), 0);
              if (!object || !seat.owns(*object)) return 1;
              std::memcpy(directory.own_bodies(), "head", 4);
              return seat.bytes_of(*object, CacheDirectory::body_offset(1), 4)[0] == 'h' ? 0 : 2;
            }));
  directory.bury(1);
  EXPECT_EQ(-SIGSEGV, run_in_child(directory, [&](CacheSeat&) {
    directory.column(0).held_bytes = 1;
    return 0;
  }));
  directory.bury(1);
  EXPECT_EQ(-SIGSEGV, run_in_child(directory, [&](CacheSeat&) {
    directory.leases(2, 1).of_row[0].word = 1;
    return 0;
  }));
  directory.bury(1);
  EXPECT_EQ(-SIGSEGV, run_in_child(directory, [&](CacheSeat&) {
    const_cast<CacheHead&>(directory.head()).last_incarnation = 9;
    return 0;
  }));
}

TEST(CacheDirectory, MemoryGoesBackWithTheLastReader) {
  auto directory = *CacheDirectory::create(3);
  EXPECT_EQ(0, run_in_child(directory, [&](CacheSeat&) {
              std::memset(directory.own_bodies(), 1, 1 << 20);
              return 0;
            }));
  struct stat bodies {};
  ::fstat(directory.files().bodies.get(), &bodies);
  EXPECT_GE(bodies.st_blocks, 2048);
  directory.bury(0);
  ::fstat(directory.files().bodies.get(), &bodies);
  EXPECT_EQ(0, bodies.st_blocks);
  EXPECT_EQ(0U, directory.take());
}

TEST(CacheDirectory, AnotherProgramAdoptsIt) {
  auto directory = *CacheDirectory::create(2);
  ASSERT_EQ(0U, directory.take());
  CacheSeat seat(directory, 0);
  ASSERT_TRUE(seat.find_or_claim(key_of(1), 0));
  CacheDirectory::Files files;
  files.directory.reset(::dup(directory.files().directory.get()));
  files.bodies.reset(::dup(directory.files().bodies.get()));
  for (const UniqueFd& waker : directory.files().wakers)
    files.wakers.emplace_back(::dup(waker.get()));
  auto adopted = CacheDirectory::adopt(std::move(files));
  ASSERT_TRUE(adopted);
  EXPECT_TRUE(adopted->is_live(0));
  EXPECT_EQ(CacheState::claim, state_of(adopted->column(0).rows[0].tag.load()));
}

TEST(CacheDirectory, FilesThatAreTooSmallAreRefused) {
  auto directory = *CacheDirectory::create(2);
  CacheDirectory::Files files;
  files.directory.reset(::dup(directory.files().directory.get()));
  files.bodies.reset(::dup(directory.files().bodies.get()));
  for (int i = 0; i < 3; ++i) files.wakers.emplace_back(::dup(directory.files().wakers[0].get()));
  EXPECT_FALSE(CacheDirectory::adopt(std::move(files)));
}

}  // namespace
}  // namespace streamgate
