#include "master/process/foreign_scoreboard.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "common/clock.h"
#include "common/memory_file.h"

namespace streamgate {
namespace {

// The layout of a program with other offsets: its slots have 96 bytes, its states other numbers. It
// has one counter that this program does not have, and lacks most of this program's.
ScoreboardLayout foreign_layout() {
  ScoreboardLayout out;
  out.size = 1024;
  out.slots = 4;
  out.first_slot = 256;
  out.slot_size = 96;
  out.offsets = {{"board.service_stopping", 33},
                 {"retired.bytes_to_clients", 40},
                 {"retired.songs_sung", 48},
                 {"slot.state", 92},
                 {"slot.beat_ms", 8},
                 {"slot.started_ms", 0},
                 {"slot.exchanges_now", 16},
                 {"worker.bytes_to_clients", 72},
                 {"worker.songs_sung", 80}};
  out.states = {{"dozing", 1}, {"starting", 2}, {"ready", 7}, {"draining", 9}};
  return out;
}

struct Memory {
  Memory() {
    auto made = make_memory_file("test", std::string(1024, '\0'));
    file = *std::move(made);
    bytes = static_cast<char*>(
        ::mmap(nullptr, 1024, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::munmap(bytes, 1024); }

  template <class T>
  void put(size_t offset, T value) const {
    std::memcpy(bytes + offset, &value, sizeof value);
  }

  UniqueFd file;
  char* bytes;
};

TEST(ForeignScoreboard, MirrorReadsValuesByNameAtAnyOffset) {
  Memory memory;
  const size_t slot_2 = 256 + 2 * 96;
  memory.put<int64_t>(slot_2 + 0, 1111);
  memory.put<int64_t>(slot_2 + 8, 2222);
  memory.put<uint64_t>(slot_2 + 16, 3);
  memory.put<uint64_t>(slot_2 + 72, 4'000'000'000'000);
  memory.put<uint64_t>(slot_2 + 80, 5);
  memory.put<uint32_t>(slot_2 + 92, 9);
  const auto board = ForeignScoreboard::open(std::move(memory.file), foreign_layout());
  ASSERT_TRUE(board) << board.error().detail;
  Slot slot;
  slot.counters[Counter::playlists_rewritten] = 77;  // of the worker that had the slot before
  board->mirror(2, slot);
  EXPECT_EQ(WorkerState::draining, slot.state.load());
  EXPECT_EQ(1111, board->started_ms(2, 5));
  EXPECT_EQ(2222, slot.beat_ms);
  EXPECT_EQ(3U, slot.exchanges_now);
  EXPECT_EQ(0U, slot.connections_now);
  EXPECT_EQ(4'000'000'000'000U, slot.counters[Counter::bytes_to_clients]);
  EXPECT_EQ(0U, slot.counters[Counter::playlists_rewritten]);
  memory.put<uint64_t>(slot_2 + 72, 4'000'000'000'001);
  memory.put<uint32_t>(slot_2 + 92, 1);  // an unknown state changes nothing
  board->mirror(2, slot);
  EXPECT_EQ(4'000'000'000'001U, slot.counters[Counter::bytes_to_clients]);
  EXPECT_EQ(WorkerState::draining, slot.state.load());
}

TEST(ForeignScoreboard, AddsTheCountersOfWorkersThatHaveEnded) {
  Memory memory;
  memory.put<uint64_t>(40, 12);
  memory.put<uint64_t>(48, 13);
  const auto board = ForeignScoreboard::open(std::move(memory.file), foreign_layout());
  ASSERT_TRUE(board);
  Board own;
  count(own.retired, Counter::bytes_to_clients, 100);
  board->add_retired_to(own);
  EXPECT_EQ(112U, own.retired[Counter::bytes_to_clients]);
  EXPECT_EQ(0U, own.retired[Counter::exchanges_started]);
}

TEST(ForeignScoreboard, AnnounceStopSetsTheFlagThatItsWorkersRead) {
  Memory memory;
  auto board = ForeignScoreboard::open(std::move(memory.file), foreign_layout());
  ASSERT_TRUE(board);
  board->announce_stop();
  EXPECT_EQ(1, memory.bytes[33]);
}

TEST(ForeignScoreboard, AMissingBeatCountsAsABeatNow) {
  Memory memory;
  ScoreboardLayout layout = foreign_layout();
  layout.offsets.erase("slot.beat_ms");
  const auto board = ForeignScoreboard::open(std::move(memory.file), layout);
  ASSERT_TRUE(board);
  Slot slot;
  const int64_t now = monotonic_ms();
  board->mirror(0, slot);
  EXPECT_GE(slot.beat_ms, now);
}

TEST(ForeignScoreboard, RefusesAnImpossibleLayout) {
  const auto is_refused = [](auto change) {
    Memory memory;
    ScoreboardLayout layout = foreign_layout();
    change(layout);
    return !ForeignScoreboard::open(std::move(memory.file), layout);
  };
  EXPECT_FALSE(is_refused([](ScoreboardLayout&) {}));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.slots = 0; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.slots = SIZE_MAX; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.slots = 9; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.slot_size = SIZE_MAX; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.first_slot = 260; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.size = 4096; }));  // the file is smaller
  EXPECT_TRUE(is_refused([](auto& layout) { layout.offsets["slot.state"] = 96; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.offsets["slot.state"] = SIZE_MAX; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.offsets["slot.beat_ms"] = 92; }));
  EXPECT_TRUE(is_refused([](auto& layout) { layout.offsets["retired.songs_sung"] = 250; }));
}

TEST(ScoreboardLayout, TheOwnLayoutIsValidAndNamesEveryCounter) {
  const ScoreboardLayout layout = own_layout(3);
  EXPECT_TRUE(check_layout(layout));
  for (const CounterInfo& counter : kCounters) {
    EXPECT_TRUE(layout.offsets.contains("worker." + std::string(counter.name)));
    EXPECT_TRUE(layout.offsets.contains("retired." + std::string(counter.name)));
  }
  auto made = Scoreboard::create(3);
  ASSERT_TRUE(made);
  made->column(1).slot.counters[Counter::access_lines_dropped] = 5;
  made->column(1).slot.state = WorkerState::ready;
  const auto same = ForeignScoreboard::open(UniqueFd(::dup(made->file())), layout);
  ASSERT_TRUE(same);
  Slot copy;
  same->mirror(1, copy);
  EXPECT_EQ(5U, copy.counters[Counter::access_lines_dropped]);
  EXPECT_EQ(WorkerState::ready, copy.state.load());
}

}  // namespace
}  // namespace streamgate
