// The protocol of shared objects under kills: processes claim, fill, read and free objects of a few
// keys, each byte is compared, and a random process is killed every few milliseconds.
//
//   cache_stress [SECONDS] [WORKERS] [KEYS]
//
// Exit status 1 if a byte was wrong, a reader of a key got another key's object, a wake-up was
// lost, or memory was left when all processes were gone.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <new>
#include <random>
#include <unordered_map>
#include <vector>

#include "common/cache_directory.h"
#include "common/clock.h"
#include "worker/cache/seat.h"

namespace streamgate {
namespace {

constexpr uint64_t kStride = 64 * 1024;  // of the regions, one for each row
constexpr uint64_t kHeadBytes = 16;      // serial and key
constexpr uint64_t kMaxBody = 6 * 1024;  // in words
constexpr int64_t kLostMs = 5'000;
constexpr size_t kMaxReads = 64;

struct Tally {
  std::atomic<uint64_t> duels{0}, claims{0}, leases{0}, bodies{0}, broken{0}, wrong{0}, mixed{0},
      doubled{0}, lost{0};
};

uint64_t word_of(uint64_t serial, uint64_t index) {
  uint64_t value = serial * 0x9e3779b97f4a7c15U + index;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  return value ^ (value >> 27U);
}

CacheKey key_of(uint64_t number) {
  // Two keys share a bucket.
  return {{number / 2, word_of(number, 1), word_of(number, 2), number}};
}

class StressWorker {
 public:
  StressWorker(CacheDirectory& directory, unsigned column, Tally& tally, uint64_t keys)
      : directory_(directory),
        seat_(directory, column),
        tally_(tally),
        keys_(keys),
        random_(static_cast<unsigned>(::getpid())) {}

  void run(const std::atomic<bool>& over) {
    while (!over.load()) {
      for (int i = 0; i < 4; ++i) request();
      fill();
      free_retired();
      seat_.wake_noted();
      read();
      rest();
    }
    drop_all();
  }

 private:
  struct Own {
    CacheSeat::Object object;
    uint64_t key;
    uint64_t length;  // words
    uint64_t filled = 0;
    bool is_published = false;
    int64_t stale_ms = 0;
  };
  struct Read {
    CacheSeat::Object object;
    uint64_t key;
    uint64_t checked = 0;  // words
    CacheState seen = CacheState::free;
    uint64_t seen_filled = 0;
    bool waits = false;
    int64_t changed_ms = 0;  // since when the wake-up is missing; 0: it is not
  };

  uint64_t random(uint64_t below) { return random_() % below; }

  void request() {
    const uint64_t number = random(keys_);
    if (own_by_key_.contains(number) || reads_.size() >= kMaxReads) return;
    const bool is_read = std::any_of(reads_.begin(), reads_.end(),
                                     [&](const Read& read) { return read.key == number; });
    if (is_read) return;
    seat_.free_abandoned();
    const auto object = seat_.find_or_claim(key_of(number), monotonic_ms());
    if (!object) return;
    if (seat_.owns(*object)) {
      ++tally_.claims;
      if (another_claim_stays(number)) ++tally_.doubled;
      own_by_key_.emplace(number, Own{*object, number, 1 + random(kMaxBody)});
    } else {
      ++tally_.leases;
      reads_.push_back({*object, number});
    }
  }

  // While a claim of this process is under way, no other may be. One may be seen for a moment: that
  // of a process that lost, until it notices. The master breaks those of processes that died.
  bool another_claim_stays(uint64_t number) {
    const auto other = seat_.find(key_of(number), monotonic_ms());
    if (!other) return false;
    const int64_t end = monotonic_ms() + kLostMs;
    while (seat_.state_of(*other) == CacheState::claim && monotonic_ms() < end) ::sched_yield();
    const CacheState state = seat_.state_of(*other);
    seat_.drop(*other);
    return state != CacheState::retired && state != CacheState::free && state != CacheState::broken;
  }

  uint64_t* words_of(const Own& own) {
    return reinterpret_cast<uint64_t*>(directory_.own_bodies() + own.object.row * kStride);
  }

  void fill() {
    for (auto it = own_by_key_.begin(); it != own_by_key_.end();) {
      Own& own = it->second;
      const bool is_over = own.stale_ms != 0 && monotonic_ms() > own.stale_ms;
      if (is_over || (own.is_published && random(200) == 0)) {
        seat_.retire(own.object);
        retired_.push_back(own.object);
        seat_.notify(own.object);
        it = own_by_key_.erase(it);
        continue;
      }
      if (own.stale_ms == 0) advance(own);
      ++it;
    }
  }

  void advance(Own& own) {
    uint64_t* words = words_of(own);
    if (!own.is_published) {
      words[0] = own.object.serial;
      words[1] = own.key;
      const int64_t now = monotonic_ms();
      seat_.publish(own.object,
                    {CacheDirectory::body_offset(own.object.owner) + own.object.row * kStride,
                     kHeadBytes, own.length * 8, now, now + 1000});
      seat_.set_state(own.object, CacheState::growing);
      own.is_published = true;
    } else {
      const uint64_t to = std::min(own.length, own.filled + 1 + random(2000));
      for (; own.filled < to; ++own.filled) {
        words[2 + own.filled] = word_of(own.object.serial, own.filled);
      }
      seat_.set_filled(own.object, own.filled * 8);
      if (own.filled == own.length) {
        seat_.set_state(own.object, CacheState::done);
        own.stale_ms = monotonic_ms() + static_cast<int64_t>(random(20));
      }
    }
    seat_.notify(own.object);
  }

  void free_retired() {
    std::erase_if(retired_, [this](const auto& object) { return seat_.try_free(object); });
  }

  void read() {
    for (auto it = reads_.begin(); it != reads_.end();) {
      if (check(*it)) {
        ++it;
        continue;
      }
      seat_.drop(it->object);
      it = reads_.erase(it);
    }
  }

  // False: the reader needs the object no more.
  bool check(Read& read) {
    const CacheState state = seat_.state_of(read.object);
    const uint64_t filled = seat_.row_of(read.object).filled.load(std::memory_order_acquire);
    if (state == CacheState::free) {  // a leased row was given away
      ++tally_.wrong;
      return false;
    }
    if (state == CacheState::broken || state == CacheState::retired) ++tally_.broken;
    const bool has_head = state == CacheState::growing || state == CacheState::done;
    const bool was_read = state == CacheState::retired && read.checked > 0;
    if (has_head || was_read) compare(read, filled / 8);
    const bool is_over = state != CacheState::claim && state != CacheState::growing;
    if (is_over) {
      // Sometimes a lease is kept, so that the owner has to ask for it.
      if (state == CacheState::done && random(3) == 0) return true;
      if (state == CacheState::done) ++tally_.bodies;
      return false;
    }
    if (read.waits && (state != read.seen || filled != read.seen_filled)) read.changed_ms = 0;
    read.seen = state;
    read.seen_filled = filled;
    read.waits = seat_.wait(read.object, state, filled);
    return true;
  }

  void compare(Read& read, uint64_t filled) {
    const CacheRow& row = seat_.row_of(read.object);
    const char* bytes = seat_.bytes_of(read.object, row.offset.load(), kHeadBytes + filled * 8);
    if (bytes == nullptr) {
      ++tally_.wrong;
      return;
    }
    const auto* words = reinterpret_cast<const uint64_t*>(bytes);
    if (words[0] != read.object.serial || words[1] != read.key) ++tally_.mixed;
    // All of it: bytes must not change under a lease, even after they were seen once.
    for (uint64_t i = 0; i < filled; ++i) {
      if (words[2 + i] != word_of(read.object.serial, i)) {
        ++tally_.wrong;
        break;
      }
    }
    read.checked = filled + 1;
  }

  // Waits for a wake-up if nothing of its own is under way.
  void rest() {
    const bool is_busy = std::any_of(own_by_key_.begin(), own_by_key_.end(),
                                     [](const auto& each) { return each.second.stale_ms == 0; });
    const bool must_look =
        std::any_of(reads_.begin(), reads_.end(), [](const Read& read) { return !read.waits; });
    pollfd wait{seat_.waker(), POLLIN, 0};
    const bool woken = ::poll(&wait, 1, is_busy || must_look ? 0 : 2) > 0;
    if (woken) seat_.drain_waker();
    for (Read& read : reads_) look_for_lost_wake(read, woken);
  }

  // A change that a waiting reader sees by itself must be followed by a wake-up.
  void look_for_lost_wake(Read& read, bool woken) {
    if (!read.waits) return;
    if (woken) {
      read.changed_ms = 0;
      return;
    }
    const bool changed = seat_.state_of(read.object) != read.seen ||
                         seat_.row_of(read.object).filled.load() != read.seen_filled;
    if (!changed) return;
    const int64_t began = monotonic_ms();
    pollfd wait{seat_.waker(), POLLIN, 0};
    if (::poll(&wait, 1, kLostMs) > 0) return;
    if (monotonic_ms() - began >= kLostMs) ++tally_.lost;
  }

  void drop_all() {
    for (const Read& read : reads_) seat_.drop(read.object);
  }

  CacheDirectory& directory_;
  CacheSeat seat_;
  Tally& tally_;
  const uint64_t keys_;
  std::minstd_rand random_;
  std::unordered_map<uint64_t, Own> own_by_key_;
  std::vector<CacheSeat::Object> retired_;
  std::list<Read> reads_;
};

struct Shared {
  Tally tally;
  std::atomic<bool> is_over{false};
};

class StressMaster {
 public:
  StressMaster(CacheDirectory directory, Shared& shared, uint64_t keys)
      : directory_(std::move(directory)), shared_(shared), keys_(keys) {}

  // False: no column is free, all mourn.
  bool start() {
    const auto column = directory_.take();
    if (!column) return false;
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (!directory_.confine(*column)) ::_exit(2);
      StressWorker(directory_, *column, shared_.tally, keys_).run(shared_.is_over);
      ::_exit(0);
    }
    workers_.push_back({pid, *column});
    return true;
  }

  void kill_one(size_t index) {
    const auto [pid, column] = workers_[index];
    workers_.erase(workers_.begin() + static_cast<long>(index));
    ::kill(pid, SIGKILL);
    bury(pid, column);
    ++kills_;
  }

  void end() {
    shared_.is_over = true;
    for (const auto& [pid, column] : workers_) bury(pid, column);
    workers_.clear();
    directory_.sweep();
  }

  void sweep() { directory_.sweep(); }
  size_t workers() const { return workers_.size(); }
  uint64_t kills() const { return kills_; }
  bool is_clean() const {
    struct stat bodies {};
    struct stat files {};
    ::fstat(directory_.files().bodies.get(), &bodies);
    ::fstat(directory_.files().directory.get(), &files);
    constexpr long kHeadBlocks =
        static_cast<long>((sizeof(CacheHead) + sizeof(CacheVersions)) / 512);
    const bool ok =
        !directory_.is_mourning() && bodies.st_blocks == 0 && files.st_blocks <= kHeadBlocks + 8;
    if (!ok) {
      std::printf("left: %ld blocks of bodies, %ld of the directory\n", bodies.st_blocks,
                  files.st_blocks);
    }
    return ok;
  }

 private:
  void bury(pid_t pid, unsigned column) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) ++shared_.tally.wrong;
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
      std::printf("a worker died of signal %d\n", WTERMSIG(status));
      ++shared_.tally.wrong;
    }
    directory_.bury(column);
  }

  CacheDirectory directory_;
  Shared& shared_;
  const uint64_t keys_;
  std::vector<std::pair<pid_t, unsigned>> workers_;
  uint64_t kills_ = 0;
};

// Two processes and one row: the owner claims, finishes, retires, frees and overwrites it as fast
// as it can, while the reader leases and looks. Here missing fences show.
class Duel {
 public:
  Duel(CacheDirectory& directory, Tally& tally) : directory_(directory), tally_(tally) {}

  void run(int64_t milliseconds) {
    const std::vector<pid_t> both{start(&Duel::own, milliseconds),
                                  start(&Duel::read, milliseconds)};
    for (size_t i = 0; i < both.size(); ++i) {
      int status = 0;
      ::waitpid(both[i], &status, 0);
      if (status != 0) ++tally_.wrong;
      directory_.bury(static_cast<unsigned>(i));
    }
  }

 private:
  pid_t start(void (Duel::*side)(CacheSeat&, int64_t), int64_t milliseconds) {
    const unsigned column = *directory_.take();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    if (!directory_.confine(column)) ::_exit(2);
    CacheSeat seat(directory_, column);
    (this->*side)(seat, monotonic_ms() + milliseconds);
    ::_exit(0);
  }

  void own(CacheSeat& seat, int64_t end) {
    auto& word = *reinterpret_cast<std::atomic<uint64_t>*>(directory_.own_bodies());
    const uint64_t offset = CacheDirectory::body_offset(seat.column());
    while (monotonic_ms() < end) {
      for (int i = 0; i < 100; ++i) {
        const auto object = seat.find_or_claim(key_of(0), 0);
        if (!object || !seat.owns(*object)) continue;
        word.store(object->serial, std::memory_order_relaxed);
        seat.publish(*object, {offset, 8, 0, 0, 1});
        seat.set_state(*object, CacheState::done);
        seat.retire(*object);
        while (!seat.try_free(*object)) {
        }
        word.store(0, std::memory_order_relaxed);
      }
    }
  }

  void read(CacheSeat& seat, int64_t end) {
    while (monotonic_ms() < end) {
      for (int i = 0; i < 100; ++i) {
        const auto object = seat.find(key_of(0), 0);
        if (!object) continue;
        ++tally_.duels;
        for (int look = 0; look < 20; ++look) {
          if (seat.state_of(*object) == CacheState::claim) break;
          const char* bytes = seat.bytes_of(*object, CacheDirectory::body_offset(0), 8);
          const auto& word = *reinterpret_cast<const std::atomic<uint64_t>*>(bytes);
          if (word.load(std::memory_order_relaxed) != object->serial) {
            ++tally_.wrong;
            break;
          }
        }
        seat.drop(*object);
      }
    }
  }

  CacheDirectory& directory_;
  Tally& tally_;
};

int run(int64_t seconds, size_t workers, uint64_t keys) {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  Shared& shared = *new (memory) Shared;
  auto directory = CacheDirectory::create(3 * workers + 2);
  if (!directory) {
    std::printf("%s\n", directory.error().detail.c_str());
    return 1;
  }
  Duel(*directory, shared.tally).run(1000 * seconds / 4);
  StressMaster master(*std::move(directory), shared, keys);
  std::minstd_rand random(1);
  const int64_t end = monotonic_ms() + seconds * 1000;
  while (monotonic_ms() < end) {
    while (master.workers() < workers && master.start()) {
    }
    ::usleep(static_cast<useconds_t>(1000 + random() % 20'000));
    master.sweep();
    if (master.workers() > 1) master.kill_one(random() % master.workers());
  }
  master.end();
  const Tally& tally = shared.tally;
  std::printf(
      "duels %lu, kills %lu, claims %lu, leases %lu, bodies compared %lu, broken or retired %lu, "
      "wrong %lu, "
      "mixed up %lu, claimed twice %lu, wake-ups lost %lu\n",
      tally.duels.load(), master.kills(), tally.claims.load(), tally.leases.load(),
      tally.bodies.load(), tally.broken.load(), tally.wrong.load(), tally.mixed.load(),
      tally.doubled.load(), tally.lost.load());
  const bool is_right =
      tally.wrong == 0 && tally.mixed == 0 && tally.doubled == 0 && tally.lost == 0;
  const bool has_worked = tally.bodies > 0 && master.kills() > 0;
  return is_right && has_worked && master.is_clean() ? 0 : 1;
}

}  // namespace
}  // namespace streamgate

int main(int argc, char** argv) {
  const auto argument = [&](int index, int64_t otherwise) {
    return argc > index ? std::atoll(argv[index]) : otherwise;
  };
  return streamgate::run(argument(1, 3), static_cast<size_t>(argument(2, 4)),
                         static_cast<uint64_t>(argument(3, 48)));
}
