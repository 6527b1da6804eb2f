// Bounds the bytes that the kernel receives for one upstream connection while nobody reads them.
// The kernel enlarges a receive buffer while a body comes fast, and a client that stops reading
// leaves it full: up to 12 MiB over loopback (measured). So the buffer is held at a size that fits
// a stream, until the body comes faster than that size allows.
//
// A member of UpstreamConnection.
#pragma once

#include <cstddef>
#include <cstdint>

namespace streamgate {

class ReceiveWindow {
 public:
  // The buffer on a link with a round trip of more than 2 ms; the kernel announces half of it. On a
  // shorter link the buffer keeps its first size (net.ipv4.tcp_rmem, 128 KiB).
  static constexpr int kMaxBytes = 768 * 1024;
  // The buffer is released when so many bytes came in kFastMs or in ten round trips.
  static constexpr size_t kFastBytes = size_t{2} * 1024 * 1024;
  static constexpr int64_t kFastMs = 200;

  // Holds the buffer of the TCP socket `fd` for the rest of a body: `left` bytes, 0 if chunked,
  // UINT64_MAX until close. Does nothing for a body that the buffer could hold, and after
  // the buffer was released: the sender may use a window that was announced once.
  void begin_body(int fd, uint64_t left, int64_t now_ms);
  void received(int fd, size_t bytes, int64_t now_ms) {
    if (state_ != State::held) return;
    bytes_ += bytes;
    spent_ms_ += now_ms - last_ms_;
    last_ms_ = now_ms;
    if (bytes_ >= kFastBytes) check_speed(fd);
  }

 private:
  enum class State { untouched, held, released };

  void check_speed(int fd);

  State state_ = State::untouched;
  bool is_long_ = false;  // the link
  int64_t fast_ms_ = kFastMs;
  size_t bytes_ = 0;      // since the last check, of this body and earlier ones
  int64_t spent_ms_ = 0;  // receiving these
  int64_t last_ms_ = 0;
};

}  // namespace streamgate
