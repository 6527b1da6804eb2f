// Whether the kernel is short of memory for sockets. When the system's TCP memory
// (net.ipv4.tcp_mem, or the limit of a control group) is used up, the kernel refuses bytes although
// a socket's buffer has room for megabytes. Nothing tells the worker in advance, so it has then
// read bytes that it cannot send. After a refusal every connection of the worker therefore reads
// little at a time, until 30 s have passed without another one.
//
// One per worker.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "worker/loop/timer_wheel.h"

namespace streamgate {

class SocketMemory {
 public:
  // Read at most this much while memory is short. With a response head it fits in the 4 KiB that a
  // socket takes in any case (the first number of net.ipv4.tcp_wmem).
  static constexpr size_t kShortReadBytes = size_t{3} * 1024;

  explicit SocketMemory(TimerWheel& wheel) : wheel_(wheel) {}

  // A socket took fewer bytes than it had room for.
  void refused() { short_until_ms_ = wheel_.now_ms() + kShortMs; }

  bool is_short() const { return short_until_ms_ != 0 && wheel_.now_ms() < short_until_ms_; }
  // `bytes`, or kShortReadBytes if that is less and memory is short.
  size_t limit(size_t bytes) const { return is_short() ? std::min(bytes, kShortReadBytes) : bytes; }

 private:
  static constexpr int64_t kShortMs = 30'000;

  TimerWheel& wheel_;
  int64_t short_until_ms_ = 0;  // 0: never refused
};

}  // namespace streamgate
