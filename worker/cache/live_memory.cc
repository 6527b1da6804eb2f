#include "worker/cache/live_memory.h"

#include <algorithm>
#include <cstring>

namespace streamgate {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void add_start(uint64_t position, std::string_view tables, LiveMemory& memory) {
  const uint64_t serial = memory.newest.load(kRelaxed) + 1;
  LiveStart& start = memory.starts[serial % memory.starts.size()];
  start.serial.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  start.position.store(position, kRelaxed);
  start.tables_size.store(tables.size(), kRelaxed);
  std::memcpy(start.tables.data(), tables.data(), tables.size());
  start.serial.store(serial, std::memory_order_release);
  memory.newest.store(serial, std::memory_order_release);
}

std::optional<LivePoint> newest_start(const LiveMemory& memory) {
  constexpr int kMaxAttempts = 4;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const uint64_t serial = memory.newest.load(std::memory_order_acquire);
    if (serial == 0) return std::nullopt;
    const LiveStart& start = memory.starts[serial % memory.starts.size()];
    if (start.serial.load(std::memory_order_acquire) != serial) continue;
    LivePoint out;
    out.position = start.position.load(kRelaxed);
    // Another process has written the size.
    const uint64_t size = std::min<uint64_t>(start.tables_size.load(kRelaxed), start.tables.size());
    out.tables.assign(start.tables.data(), size);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (start.serial.load(kRelaxed) == serial) return out;
  }
  return std::nullopt;
}

}  // namespace streamgate
