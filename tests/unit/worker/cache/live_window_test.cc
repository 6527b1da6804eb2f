#include "worker/cache/live_window.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "worker/cache/live_memory.h"
#include "worker/cache/live_reader.h"
#include "worker/cache/shared_object.h"

namespace streamgate {
namespace {

using Kind = LiveReader::Piece::Kind;
using Begin = LiveReader::Begin;

constexpr size_t kPacketsOfRing = 100;
constexpr size_t kWindow = kPacketsOfRing * kTsPacket;
constexpr CacheKey kKey{{7, 1, 0, 0}};

// PAT with a PMT at PID 0x100, and that PMT: H.264 at PID 0x101.
const std::string kTables = [] {
  const auto packet = [](std::string_view head, std::string_view section) {
    std::string out(head);
    out += section;
    out.resize(kTsPacket, '\xff');
    return out;
  };
  using namespace std::string_view_literals;
  return packet("G\x40\0\x10\0"sv, "\0\xb0\x0d\0\1\xc1\0\0\0\1\xe1\0\xe8\xf9\x5e\x7d"sv) +
         packet("G\x41\0\x10\0"sv,
                "\2\xb0\x12\0\1\xc1\0\0\xe1\1\xf0\0\x1b\xe1\1\xf0\0\x4f\xc4\x3d\x1b"sv);
}();

// A packet of the video with that number, 20 times.
std::string video(uint64_t number, bool is_point = false) {
  std::string out("G\x01\x01\x30\x01", 5);
  if (is_point) out[1] = '\x41';
  out += is_point ? '\x40' : '\0';
  for (int i = 0; i < 20; ++i) out.append(reinterpret_cast<const char*>(&number), sizeof number);
  out.resize(kTsPacket, '\xff');
  return out;
}

std::string videos(uint64_t from, uint64_t to) {
  std::string out;
  for (uint64_t i = from; i < to; ++i) out += video(i);
  return out;
}

// Owner and reader in one process: without confine(), every process may write all.
class LiveWindowTest : public ::testing::Test {
 protected:
  LiveWindowTest() : directory_(*CacheDirectory::create(4)) {
    owner_.emplace(directory_, *directory_.take());
    reader_.emplace(directory_, *directory_.take());
    const auto claimed = *owner_->find_or_claim(kKey, 0);
    const uint64_t offset = CacheDirectory::body_offset(claimed.owner);
    memory_ =
        static_cast<char*>(::mmap(nullptr, kMapped, PROT_READ | PROT_WRITE, MAP_SHARED,
                                  directory_.files().bodies.get(), static_cast<off_t>(offset)));
    own_.emplace(*owner_, kKey, claimed);
    leased_.emplace(*reader_, kKey, *reader_->find(kKey, 0));
  }
  ~LiveWindowTest() override {
    leased_.reset();
    own_.reset();
    ::munmap(memory_, kMapped);
  }

  LiveWindow& make(LiveFormat format) {
    owner_->set_filled(own_->place(), 0);
    window_ = std::make_unique<LiveWindow>(*owner_, own_->place(), memory_ + live_memory_offset(5),
                                           kWindow, format);
    owner_->publish(own_->place(),
                    {CacheDirectory::body_offset(own_->place().owner), 5, kUnknownLength, 0, 0});
    owner_->set_state(own_->place(), CacheState::growing);
    return *window_;
  }
  void write(std::string_view bytes) {
    window_->write(bytes);
    window_->publish(++now_ms_);
  }
  // All that is there, by another process.
  std::string read(LiveReader& reader, uint64_t most = 10'000) {
    std::string out;
    while (true) {
      const auto piece = reader.next(most, scratch_);
      last_ = piece.kind;
      moves_ += piece.is_moved ? 1 : 0;
      if (piece.kind != Kind::bytes) return out;
      out += piece.bytes;
    }
  }
  std::string read_anew(Begin begin) {
    LiveReader reader;
    reader.attach(*leased_, begin);
    return read(reader);
  }

  static constexpr size_t kMapped = size_t{1} << 20;
  CacheDirectory directory_;
  std::optional<CacheSeat> owner_;
  std::optional<CacheSeat> reader_;
  char* memory_;
  std::optional<SharedObject> own_;
  std::optional<SharedObject> leased_;
  std::unique_ptr<LiveWindow> window_;
  std::string scratch_;
  int64_t now_ms_ = 0;
  Kind last_ = Kind::none;
  int moves_ = 0;
};

TEST_F(LiveWindowTest, AReaderBeginsAtTheFirstByteOrAtTheNewestPoint) {
  make(LiveFormat::packets);
  write(videos(0, 3));
  EXPECT_EQ(read_anew(Begin::newest), videos(0, 3)) << "there is no point yet";
  write(kTables + video(10, true) + video(11) + video(20, true) + video(21));
  EXPECT_EQ(read_anew(Begin::newest), kTables + video(20, true) + video(21));
  EXPECT_EQ(read_anew(Begin::first).substr(0, 3 * kTsPacket), videos(0, 3));
  EXPECT_EQ(last_, Kind::none);
  // The first byte is gone.
  write(videos(22, 115));
  EXPECT_EQ(read_anew(Begin::first), kTables + video(20, true) + videos(21, 115));
}

TEST_F(LiveWindowTest, WithoutAPointInTheWindowAReaderBeginsAtTheNewestByte) {
  make(LiveFormat::packets);
  write(kTables + video(0, true) + videos(1, 200));
  LiveReader reader;
  reader.attach(*leased_, Begin::newest);
  EXPECT_EQ(read(reader), "") << "tables come with the packet that follows them";
  write(videos(200, 210));
  EXPECT_EQ(read(reader), kTables + videos(200, 210));
}

TEST_F(LiveWindowTest, SoundBeginsAtTheNewestByte) {
  make(LiveFormat::frames);
  write("old");
  LiveReader reader;
  reader.attach(*leased_, Begin::newest);
  EXPECT_EQ(read(reader), "");
  write("new");
  EXPECT_EQ(read(reader), "new");
}

TEST_F(LiveWindowTest, ReadersOfAllProcessesFollowTheRing) {
  for (const LiveFormat format : {LiveFormat::packets, LiveFormat::frames}) {
    make(format);
    LiveReader one, other;
    one.attach(*own_, Begin::first);
    other.attach(*leased_, Begin::first);
    std::string sent, got_one, got_other;
    for (uint64_t i = 0; i < 1000; i += 7) {
      const std::string more = videos(i, i + 7);
      sent += more;
      write(more.substr(0, 500));
      got_one += read(one, 300);
      write(more.substr(500));
      got_one += read(one, 300);
      got_other += read(other);
    }
    EXPECT_TRUE(got_one == sent);
    EXPECT_TRUE(got_other == sent);
    EXPECT_EQ(moves_, 0);
  }
}

TEST_F(LiveWindowTest, AReaderThatIsBehindGoesOnAtTheNewestPoint) {
  make(LiveFormat::packets);
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  write(kTables + video(0, true));
  EXPECT_EQ(read(reader), kTables + video(0, true));
  write(videos(1, 90) + video(90, true) + videos(91, 120));
  EXPECT_EQ(read(reader), kTables + video(90, true) + videos(91, 120));
  EXPECT_EQ(moves_, 1);
  // Without a point in the window: at the newest packet.
  write(videos(120, 300));
  EXPECT_EQ(read(reader), "");
  // It is moved again before a packet has followed.
  write(videos(300, 500));
  EXPECT_EQ(read(reader), "");
  write(videos(500, 503));
  EXPECT_EQ(read(reader), kTables + videos(500, 503));
  EXPECT_EQ(moves_, 2);
}

TEST_F(LiveWindowTest, AReaderOfSoundThatIsBehindEnds) {
  make(LiveFormat::frames);
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  write("first");
  EXPECT_EQ(read(reader), "first");
  write(std::string(kWindow, 'x'));
  EXPECT_EQ(read(reader), std::string(kWindow, 'x')) << "all of it is still there";
  write(std::string(kWindow + 1, 'y'));
  EXPECT_EQ(read(reader), "");
  EXPECT_EQ(last_, Kind::behind);
}

TEST_F(LiveWindowTest, PacketsAreHandedOnWhole) {
  make(LiveFormat::packets);
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  write(videos(0, 5) + "Gpart");
  EXPECT_EQ(reader.next(1, scratch_).bytes, video(0)) << "a viewer with little room";
  EXPECT_EQ(reader.next(2 * kTsPacket + 5, scratch_).bytes, videos(1, 3));
  EXPECT_EQ(read(reader), videos(3, 5));
  window_->finish(++now_ms_);
  EXPECT_EQ(read(reader), "");
  owner_->set_state(own_->place(), CacheState::done);
  EXPECT_EQ(read(reader), "Gpart");
  EXPECT_EQ(last_, Kind::over);
}

TEST_F(LiveWindowTest, ANextBodyBeginsWithAPacketAndItsOwnTables) {
  make(LiveFormat::packets);
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  write(kTables + video(0, true) + video(1).substr(0, 100));
  window_->begin_next_body();
  write("tail" + video(8, true) + video(9, true));
  EXPECT_EQ(read_anew(Begin::newest), kTables + video(0, true) + video(8, true) + video(9, true))
      << "without its tables, the new body has no point";
  write(kTables + video(10, true));
  EXPECT_EQ(read(reader),
            kTables + video(0, true) + video(8, true) + video(9, true) + kTables + video(10, true));
  EXPECT_EQ(read_anew(Begin::newest), kTables + video(10, true));
}

TEST_F(LiveWindowTest, TheOwnerReadsAQuarterOfTheWindowAheadOfTheFirstViewerOfAllProcesses) {
  constexpr size_t kQuarter = kPacketsOfRing / 4 * kTsPacket;
  LiveWindow& window = make(LiveFormat::packets);
  EXPECT_EQ(window.room(), kQuarter);
  write(videos(0, 20));
  EXPECT_EQ(window.room(), 0U) << "too little for a read";
  window.on_tick(0);
  EXPECT_EQ(window.room(), 0U);
  window.on_tick(20 * kTsPacket);
  EXPECT_EQ(window.room(), kQuarter) << "a viewer here";
  write(videos(20, 45));
  read_anew(Begin::first);
  EXPECT_EQ(window.room(), 0U) << "not before the next tick";
  window.on_tick(20 * kTsPacket);
  EXPECT_EQ(window.room(), kQuarter) << "a viewer of another process";
  EXPECT_EQ(owner_->first_position_of_others(own_->place()), 45 * kTsPacket);
  write(videos(45, 70));
  window.go_on_without_viewers(10);
  EXPECT_EQ(window.room(), kQuarter);
}

TEST_F(LiveWindowTest, AViewerWhoHasReadNothingCountsFromItsBegin) {
  LiveWindow& window = make(LiveFormat::frames);
  write(std::string(kWindow / 4, 'x'));
  window.on_tick(0);
  EXPECT_EQ(window.room(), 0U);
  EXPECT_EQ(read_anew(Begin::newest), "");
  window.on_tick(0);
  EXPECT_GT(window.room(), 0U);
}

TEST_F(LiveWindowTest, TheFirstViewerLosesNothingHoweverSlowItIs) {
  LiveWindow& window = make(LiveFormat::packets);
  LiveReader slow, slower;
  slow.attach(*leased_, Begin::first);
  slower.attach(*own_, Begin::first);
  std::string sent, got;
  for (uint64_t i = 0; got.size() < 10 * kWindow; ++i) {
    // The upstream sends as much as is read.
    while (window.room() > 0) {
      const std::string more = video(sent.size() / kTsPacket);
      sent += more;
      write(more);
    }
    const auto piece = slow.next(3 * kTsPacket, scratch_);
    ASSERT_EQ(piece.kind, Kind::bytes);
    got += piece.bytes;
    if (i % 20 == 0) moves_ += slower.next(kTsPacket, scratch_).is_moved ? 1 : 0;
    window.on_tick(own_->position());
  }
  EXPECT_TRUE(sent.starts_with(got));
  EXPECT_GT(moves_, 0);
}

TEST_F(LiveWindowTest, ABodyThatBreaksHasNoLength) {
  make(LiveFormat::packets);
  write(videos(0, 3) + "Gpart");
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  window_->finish(++now_ms_);
  owner_->set_state(own_->place(), CacheState::broken);
  EXPECT_EQ(read(reader), videos(0, 3) + "Gpart");
  EXPECT_EQ(last_, Kind::over);
  EXPECT_NE(leased_->filled(), leased_->length());
}

TEST_F(LiveWindowTest, NonsenseOfTheOwnerIsFound) {
  make(LiveFormat::packets);
  write(videos(0, 5));
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  for (const uint64_t size : {uint64_t{1}, kTsPacket + uint64_t{1}, kCacheBodyBytes + kTsPacket}) {
    owner_->set_window(own_->place(), size);
    EXPECT_EQ(reader.next(1000, scratch_).kind, Kind::unreadable) << size;
  }
}

TEST(LiveMemory, TablesAndPositionBelongTogether) {
  const auto memory = std::make_unique<LiveMemory>();
  EXPECT_FALSE(newest_start(*memory));
  std::atomic<bool> is_over{false};
  std::thread owner([&] {
    for (uint64_t i = 0; !is_over; ++i) {
      add_start(i, std::string(2000, static_cast<char>(i)), *memory);
    }
  });
  size_t seen = 0;
  size_t right = 0;
  while (seen < 20'000) {
    const auto point = newest_start(*memory);
    if (!point) continue;
    ++seen;
    right += point->tables == std::string(2000, static_cast<char>(point->position)) ? 1U : 0U;
  }
  is_over = true;
  owner.join();
  EXPECT_EQ(right, seen);
  // The owner has died while it wrote the newest one.
  memory->starts[memory->newest % memory->starts.size()].serial = 0;
  EXPECT_FALSE(newest_start(*memory));
}

// Runs once, when the program touches a page that cannot be read.
std::function<void()>* at_fault = nullptr;

void on_fault(int signal_number) {
  if (at_fault == nullptr) {
    ::signal(signal_number, SIG_DFL);
    return;
  }
  (*std::exchange(at_fault, nullptr))();
}

// Calls `act` when the program touches the middle of the ring that is mapped at `ring`, and undoes
// it.
class Trap {
 public:
  Trap(const char* ring, std::function<void()> act)
      : page_(reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(ring) + kWindow / 4) / size() *
                                      size())),
        act_([this, act = std::move(act)] {
          ::mprotect(page_, size(), PROT_READ | PROT_WRITE) == 0 ||
              ::mprotect(page_, size(), PROT_READ);
          act();
        }),
        before_(::signal(SIGSEGV, on_fault)) {
    at_fault = &act_;
    ::mprotect(page_, size(), PROT_NONE);
  }
  ~Trap() { ::signal(SIGSEGV, before_); }
  Trap(const Trap&) = delete;
  Trap& operator=(const Trap&) = delete;

  static bool has_acted() { return at_fault == nullptr; }

 private:
  static uintptr_t size() { return static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE)); }

  void* const page_;
  std::function<void()> act_;
  void (*const before_)(int);
};

TEST_F(LiveWindowTest, ACopyThatTheOwnerOverwritesMeanwhileIsDropped) {
  make(LiveFormat::packets);
  write(kTables + videos(0, 98));
  const Trap trap(leased_->live().memory->ring(),
                  [this] { write(video(100, true) + videos(101, 110)); });
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  EXPECT_TRUE(read(reader, kWindow) == kTables + video(100, true) + videos(101, 110));
  EXPECT_TRUE(trap.has_acted());
}

TEST_F(LiveWindowTest, NobodyReadsWhatTheOwnerIsOverwriting) {
  make(LiveFormat::packets);
  write(kTables + videos(0, 98));
  LiveReader reader;
  reader.attach(*leased_, Begin::first);
  EXPECT_EQ(reader.next(kTsPacket, scratch_).bytes, kTables.substr(0, kTsPacket));
  std::string got = "nothing";
  const char* const ring =
      reinterpret_cast<const LiveMemory*>(memory_ + live_memory_offset(5))->ring();
  const Trap trap(ring, [&] { got = read(reader, kWindow); });
  write(videos(100, 150));
  EXPECT_TRUE(trap.has_acted());
  EXPECT_EQ(got, "");
  EXPECT_EQ(read(reader), videos(100, 150));
}

// The writer laps the reader all the time, and dies at any instruction.
TEST_F(LiveWindowTest, NoWrongByteWhileTheOwnerOverwritesAndDies) {
  for (int round = 0; round < 10; ++round) {
    make(LiveFormat::packets);
    write(kTables);
    const pid_t child = ::fork();
    if (child == 0) {
      for (uint64_t i = 1;; i += 10) {
        window_->write(video(i, true));
        window_->write(videos(i + 1, i + 10));
        window_->publish(0);
      }
    }
    LiveReader reader;
    reader.attach(*leased_, Begin::newest);
    uint64_t last = 0;
    int overtaken = 0;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (overtaken < 5 && std::chrono::steady_clock::now() < limit) {
      const auto piece = reader.next(kWindow, scratch_);
      overtaken += piece.is_moved ? 1 : 0;
      if (piece.kind != Kind::bytes) {
        ::sched_yield();
        continue;
      }
      ASSERT_EQ(piece.bytes.size() % kTsPacket, 0U);
      for (size_t at = 0; at < piece.bytes.size(); at += kTsPacket) {
        const std::string_view packet = piece.bytes.substr(at, kTsPacket);
        if (kTables.find(packet) != kTables.npos) continue;
        uint64_t number = 0;
        std::memcpy(&number, packet.data() + 6, sizeof number);
        ASSERT_TRUE(packet == video(number) || packet == video(number, true));
        ASSERT_GT(number, last);
        last = number;
      }
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_EQ(overtaken, 5);
  }
}

}  // namespace
}  // namespace streamgate
