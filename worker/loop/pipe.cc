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

// A smaller pipe moves too little with each of its two system calls.
constexpr size_t kMinCapacity = size_t{64} * 1024;
// The default limit for an unprivileged user. 512 KiB cost about a fifth more CPU.
constexpr size_t kMaxCapacity = size_t{1024} * 1024;
// A worker divides its share into this many pipes, unless they would be too small.
constexpr size_t kWantedPipes = 4;
// The limit if the kernel sets none.
constexpr size_t kMaxBytes = size_t{64} * 1024 * 1024;
constexpr int64_t kRetryAfterMs = 1000;

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
  // If every size is refused (EPERM), the pipe keeps the size that it was made with.
  for (size_t wanted = capacity; wanted >= kMinCapacity; wanted /= 2) {
    if (::fcntl(write_end.get(), F_SETPIPE_SZ, static_cast<int>(wanted)) >= 0) break;
  }
  const int size = ::fcntl(write_end.get(), F_GETPIPE_SZ);
  if (size < 0 || static_cast<size_t>(size) < kMinCapacity) return nullptr;
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
  pool->give_back(std::unique_ptr<Pipe>(pipe));
}

PipePool::PipePool(TimerWheel& wheel, std::span<const Assignment> workers, const Limits& limits)
    : wheel_(wheel), workers_(workers), limits_(limits) {}

PipePool::Limits PipePool::system_limits() {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t pages = read_number("/proc/sys/fs/pipe-user-pages-soft", 16'384);
  const size_t largest = read_number("/proc/sys/fs/pipe-max-size", kMinCapacity);
  return {std::min(pages == 0 ? kMaxBytes : pages * page / 2, kMaxBytes),
          std::min(std::bit_floor(largest), kMaxCapacity)};
}

// Bytes of pipes that this worker may have. Counts the live workers each time: after a reload there
// are twice as many until the old streams end.
size_t PipePool::share() const {
  const auto live = std::count_if(workers_.begin(), workers_.end(), [](const Assignment& worker) {
    return worker.generation.load(std::memory_order_relaxed) != 0;
  });
  return limits_.all_bytes / static_cast<size_t>(std::max<ptrdiff_t>(live, 1));
}

PipeLoan PipePool::borrow() {
  if (!idle_.empty()) {
    PipeLoan loan(idle_.back().release(), {this});
    idle_.pop_back();
    return loan;
  }
  if (refused_ms_ != 0 && wheel_.now_ms() - refused_ms_ < kRetryAfterMs) return {};
  const size_t allowed = share();
  const size_t capacity =
      std::clamp(std::bit_floor(allowed / kWantedPipes), kMinCapacity, limits_.largest);
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

void PipePool::give_back(std::unique_ptr<Pipe> pipe) {
  if (pipe->bytes() == 0) return idle_.push_back(std::move(pipe));
  // The pipe still holds bytes of a broken stream, so it is closed.
  --made_;
  made_bytes_ -= pipe->capacity();
}

}  // namespace streamgate
