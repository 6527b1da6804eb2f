// Kernel pipes that carry a body from an upstream's socket to a client's socket without a copy
// through our memory (splice), and the pool that owns them. The kernel limits the pages that a user
// may have in pipes, over all its processes. Pipes are therefore few, and are borrowed only while
// bytes move.
//
// One pool per worker; it outlives every loan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class Pipe {
 public:
  // Makes a pipe of `capacity` bytes (a power of two), or a smaller one of at least 64 KiB if the
  // kernel refuses that. Null if it refuses both.
  static std::unique_ptr<Pipe> make(size_t capacity);

  enum class Filled { some, drained, closed, failed };  // the state of the socket
  // Moves at most `most` bytes from a socket into this pipe, which must be empty.
  Filled fill_from(int socket, size_t most);

  size_t bytes() const { return bytes_; }  // that the pipe holds now
  size_t capacity() const { return capacity_; }
  int read_end() const { return read_end_.get(); }
  void taken(size_t bytes);  // the caller has moved `bytes` out of read_end()

 private:
  Pipe(UniqueFd read_end, UniqueFd write_end, size_t capacity)
      : read_end_(std::move(read_end)), write_end_(std::move(write_end)), capacity_(capacity) {}

  UniqueFd read_end_;
  UniqueFd write_end_;
  size_t capacity_;
  size_t bytes_ = 0;
};

class PipePool;

// Gives a pipe back to its pool. A pipe that still holds bytes is closed.
struct ReturnPipe {
  PipePool* pool = nullptr;
  void operator()(Pipe* pipe) const noexcept;
};
using PipeLoan = std::unique_ptr<Pipe, ReturnPipe>;

class PipePool {
 public:
  struct Limits {
    size_t all_bytes;  // the capacity of all pipes of all workers together
    size_t largest;    // the capacity of one pipe; a power of two
  };

  // `workers`: of the scoreboard; all live workers share the limit.
  PipePool(TimerWheel& wheel, std::span<const Assignment> workers, const Limits& limits);

  // Half of the bytes in pipes that the kernel allows the user of this process.
  static Limits system_limits();

  // An empty pipe, or null if there is none: copy instead.
  PipeLoan borrow();

  size_t made() const { return made_; }

 private:
  friend struct ReturnPipe;
  void give_back(std::unique_ptr<Pipe> pipe);
  size_t share() const;

  TimerWheel& wheel_;
  std::span<const Assignment> workers_;
  Limits limits_;
  std::vector<std::unique_ptr<Pipe>> idle_;
  size_t made_ = 0;         // idle and on loan
  size_t made_bytes_ = 0;   // their capacity
  int64_t refused_ms_ = 0;  // when the kernel last refused a pipe; 0: never
};

}  // namespace streamgate
