// Bounds the bytes that the kernel receives for one upstream connection while nobody reads them.
// While a body comes fast, the kernel enlarges the receive buffer, up to net.ipv4.tcp_rmem. If the
// client then stops reading, the buffer stays full: up to 32 MiB over loopback (measured). So the
// buffer has a size that fits the speed of the stream and the link.
//
//   slow stream   the buffer's first size (usually 128 KiB), or kMaxBytes if the round trip is
//                 longer than 2 ms
//   fast stream   kMaxBytes, or the bytes of eight round trips if that is more
//
// The window is half of the buffer, or more on newer systems. Bytes of eight round trips let a
// stream become faster: with four, 200 MiB at 1 Gbit/s and 50 ms took up to a tenth longer.
//
// A member of UpstreamConnection.
#pragma once

#include <cstddef>
#include <cstdint>

namespace streamgate {

class ReceiveWindow {
 public:
  static constexpr int kMaxBytes = 768 * 1024;
  // A stream is fast when this many bytes came in kFastMs or in ten round trips, and slow again
  // when they took twice that time.
  static constexpr size_t kFastBytes = size_t{2} * 1024 * 1024;
  static constexpr int64_t kFastMs = 200;

  // Holds the buffer of the TCP socket `fd` for the rest of a body: `left` bytes, 0 if chunked,
  // UINT64_MAX until close. Does nothing for a body that the buffer could hold.
  void begin_body(int fd, uint64_t left, int64_t now_ms);
  void received(int fd, size_t bytes, int64_t now_ms) {
    if (size_ == 0) return;
    bytes_ += bytes;
    spent_ms_ += now_ms - last_ms_;
    last_ms_ = now_ms;
    if (bytes_ >= kFastBytes) check_speed(fd);
  }

 private:
  void check_speed(int fd);
  int size_for_speed();
  void resize(int fd, int bytes);

  int size_ = 0;  // of the buffer; 0: the kernel adapts it
  int slow_size_ = 0;
  bool is_fast_ = false;
  int64_t round_trip_us_ = 0;
  size_t bytes_ = 0;      // since the last check, of this body and earlier ones
  int64_t spent_ms_ = 0;  // receiving these
  int64_t last_ms_ = 0;
};

}  // namespace streamgate
