// Kernel pipes that carry a body from an upstream's socket to a client's without its passing
// through our memory (splice), and the pool that lends them. Pipes are few: the kernel limits the
// pages a user may have in pipes, over all its processes, so a pipe is lent only while bytes move.
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
  // None if the kernel gives no pipe of at least 64 KiB. `capacity` (bytes, a power of two) is what
  // is hoped for; it may become less.
  static std::unique_ptr<Pipe> make(size_t capacity);

  enum class Filled { some, drained, closed, failed };  // of the socket
  // Moves at most `most` bytes from a socket into this pipe, which must be empty.
  Filled fill_from(int socket, size_t most);

  size_t bytes() const { return bytes_; }  // in it now
  size_t capacity() const { return capacity_; }
  int read_end() const { return read_end_.get(); }
  void taken(size_t bytes);  // so many have been moved out of read_end()

 private:
  Pipe(UniqueFd read_end, UniqueFd write_end, size_t capacity)
      : read_end_(std::move(read_end)), write_end_(std::move(write_end)), capacity_(capacity) {}

  UniqueFd read_end_;
  UniqueFd write_end_;
  size_t capacity_;
  size_t bytes_ = 0;
};

class PipePool;

// Gives a pipe back; one with bytes in it is closed.
struct ReturnPipe {
  PipePool* pool = nullptr;
  void operator()(Pipe* pipe) const noexcept;
};
using PipeLoan = std::unique_ptr<Pipe, ReturnPipe>;

class PipePool {
 public:
  struct Limits {
    size_t all_bytes;  // of the capacities of all pipes of all workers together
    size_t largest;    // one pipe; a power of two
  };

  // `slots`: the scoreboard, which tells how many workers share the limit.
  PipePool(TimerWheel& wheel, std::span<const Slot> slots, const Limits& limits);

  // Half of what the kernel allows the user this process runs as.
  static Limits system_limits();

  // An empty pipe, or null: copying serves as well.
  PipeLoan borrow();

  size_t made() const { return made_; }

 private:
  friend struct ReturnPipe;
  void take_back(std::unique_ptr<Pipe> pipe);
  size_t share() const;

  TimerWheel& wheel_;
  std::span<const Slot> slots_;
  Limits limits_;
  std::vector<std::unique_ptr<Pipe>> idle_;
  size_t made_ = 0;         // idle and lent
  size_t made_bytes_ = 0;   // their capacity
  int64_t refused_ms_ = 0;  // when the kernel last had none for us; 0: never
};

}  // namespace streamgate
