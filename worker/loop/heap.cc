#include "worker/loop/heap.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/unique_fd.h"
#include "worker/loop/event.h"

namespace streamgate {
namespace {

// Free memory that malloc keeps at the end of its heap. By default it returns everything above 128
// KiB to the kernel: the output of a long playlist was then returned and faulted in again for each
// send.
constexpr int kKeptHeapBytes = 4 * 1024 * 1024;
// Larger blocks are mapped one by one. glibc adapts this limit by itself unless it is set.
constexpr int kMappedBytes = 1024 * 1024;

// More than kKeptHeapBytes: a busy worker is not trimmed.
constexpr size_t kMaxIdleBytes = size_t{5} * 1024 * 1024;
constexpr std::chrono::seconds kCheckInterval{10};
constexpr std::chrono::milliseconds kSliceInterval{20};

// Resident memory that no file backs: the heap, stacks, and the pages copied from the master. 0 if
// it cannot be read.
size_t anonymous_bytes() {
  const UniqueFd file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  if (!file.valid() || ::read(file.get(), text.data(), text.size() - 1) <= 0) return 0;
  size_t resident = 0;
  size_t shared = 0;
  if (std::sscanf(text.data(), "%*u %zu %zu", &resident, &shared) != 2) return 0;
  return (resident - std::min(resident, shared)) * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

#ifdef __GLIBC__
// Resident bytes that malloc has not given out, and a constant part (stacks, static data).
size_t idle_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  const size_t anonymous = anonymous_bytes();
  return anonymous - std::min(anonymous, info.uordblks + info.hblkhd);
}
#else
size_t idle_bytes() { return 0; }
#endif

}  // namespace

void configure_heap() {
#ifdef __GLIBC__
  ::mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  ::mallopt(M_MMAP_THRESHOLD, kMappedBytes);
#endif
}

HeapTrim::HeapTrim(TimerWheel& wheel)
    : deadline_(wheel, this, call<&HeapTrim::on_timer>), last_(idle_bytes()), settled_(last_) {
  deadline_.arm(kCheckInterval);
}

void HeapTrim::on_timer() {
  if (is_releasing()) {
    release_slice();
  } else {
    check();
  }
  deadline_.arm(is_releasing() ? kSliceInterval : std::chrono::milliseconds(kCheckInterval));
}

void HeapTrim::check() {
  const size_t idle = idle_bytes();
  const size_t unused = std::min(idle, std::exchange(last_, idle));
  settled_ = std::min(settled_, idle);
  if (unused >= settled_ + kMaxIdleBytes) release_.emplace();
}

void HeapTrim::release_slice() {
  if (release_->run_slice() == HeapRelease::Left::some) return;
  release_.reset();
  last_ = settled_ = idle_bytes();
}

}  // namespace streamgate
