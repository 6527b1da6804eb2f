#include "worker/loop/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/check.h"
#include "common/pipe_pair.h"

namespace streamgate {
namespace {

// Below this, a system call moves too little to be worth two.
constexpr size_t kLeastCapacity = size_t{64} * 1024;
// What an unprivileged user may ask for at most by default; 512 KiB cost about a fifth more CPU.
constexpr size_t kLargestCapacity = size_t{1024} * 1024;
// A worker's share is divided into so many pipes if their size allows it.
constexpr size_t kWantedPipes = 4;
// Where the kernel sets no limit.
constexpr size_t kMostBytes = size_t{64} * 1024 * 1024;
constexpr int64_t kAskAgainMs = 1000;

size_t read_number(const char* path, size_t otherwise) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "re"), std::fclose);
  size_t number = 0;
  return file && std::fscanf(file.get(), "%zu", &number) == 1 ? number : otherwise;
}

}  // namespace

std::unique_ptr<Pipe> Pipe::make(size_t capacity) {
  auto ends = make_pipe(O_NONBLOCK);
  if (!ends) return nullptr;
  auto& [read_end, write_end] = *ends;
  // Whatever it is when it is made is what remains if every size is refused (EPERM).
  for (size_t wanted = capacity; wanted >= kLeastCapacity; wanted /= 2) {
    if (::fcntl(write_end.get(), F_SETPIPE_SZ, static_cast<int>(wanted)) >= 0) break;
  }
  const int size = ::fcntl(write_end.get(), F_GETPIPE_SZ);
  if (size < 0 || static_cast<size_t>(size) < kLeastCapacity) return nullptr;
  return std::unique_ptr<Pipe>(
      new Pipe(std::move(read_end), std::move(write_end), static_cast<size_t>(size)));
}

Pipe::Filled Pipe::fill_from(int socket, size_t most) {
  CHECK(bytes_ == 0);
  const ssize_t moved = ::splice(socket, nullptr, write_end_.get(), nullptr,
                                 std::min(most, capacity_), SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (moved > 0) {
    bytes_ = static_cast<size_t>(moved);
    return Filled::some;
  }
  if (moved == 0) return Filled::closed;
  return errno == EAGAIN || errno == EINTR ? Filled::drained : Filled::failed;
}

void Pipe::taken(size_t bytes) {
  CHECK(bytes <= bytes_);
  bytes_ -= bytes;
}

void ReturnPipe::operator()(Pipe* pipe) const noexcept {
  pool->take_back(std::unique_ptr<Pipe>(pipe));
}

PipePool::PipePool(TimerWheel& wheel, std::span<const Slot> slots, const Limits& limits)
    : wheel_(wheel), slots_(slots), limits_(limits) {}

PipePool::Limits PipePool::system_limits() {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t pages = read_number("/proc/sys/fs/pipe-user-pages-soft", 16'384);
  const size_t largest = read_number("/proc/sys/fs/pipe-max-size", kLeastCapacity);
  return {std::min(pages == 0 ? kMostBytes : pages * page / 2, kMostBytes),
          std::min(std::bit_floor(largest), kLargestCapacity)};
}

// Bytes of pipes that this worker may have. The others are counted anew each time: a reload doubles
// the workers for as long as old streams last.
size_t PipePool::share() const {
  const auto live = std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.state.load(std::memory_order_relaxed) != WorkerState::vacant;
  });
  return limits_.all_bytes / static_cast<size_t>(std::max<ptrdiff_t>(live, 1));
}

PipeLoan PipePool::borrow() {
  if (!idle_.empty()) {
    PipeLoan loan(idle_.back().release(), {this});
    idle_.pop_back();
    return loan;
  }
  if (refused_ms_ != 0 && wheel_.now_ms() - refused_ms_ < kAskAgainMs) return {};
  const size_t allowed = share();
  const size_t capacity =
      std::clamp(std::bit_floor(allowed / kWantedPipes), kLeastCapacity, limits_.largest);
  std::unique_ptr<Pipe> pipe;
  if (made_bytes_ + capacity <= allowed) pipe = Pipe::make(capacity);
  if (!pipe) {
    refused_ms_ = wheel_.now_ms();
    return {};
  }
  ++made_;
  made_bytes_ += pipe->capacity();
  return {pipe.release(), {this}};
}

void PipePool::take_back(std::unique_ptr<Pipe> pipe) {
  if (pipe->bytes() == 0) return idle_.push_back(std::move(pipe));
  // What is in it belongs to a stream that was cut.
  --made_;
  made_bytes_ -= pipe->capacity();
}

}  // namespace streamgate
