#include "worker/upstream/receive_window.h"

#include <linux/socket.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>

namespace streamgate {
namespace {

constexpr int64_t kShortRoundTripUs = 2'000;
constexpr int64_t kFastRoundTrips = 10;
constexpr int64_t kHeldRoundTrips = 8;
constexpr int64_t kLargestBytes = int64_t{64} * 1024 * 1024;

int receive_buffer(int fd) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  return ::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) == 0 ? bytes : 0;
}

// SOCK_RCVBUF_LOCK: the kernel leaves the size of the receive buffer alone. 0: it adapts the size.
// Since Linux 5.15.
void lock_size(int fd, int lock) { ::setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &lock, sizeof lock); }

// SO_RCVLOWAT enlarges a receive buffer that is not locked, so that this window fits, up to
// net.ipv4.tcp_rmem. SO_RCVBUF would be limited by net.core.rmem_max, which is 208 KiB by default.
void open_window(int fd, int bytes) {
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
}

// The buffer for a window is twice the window, or on newer systems as much as the packets so far
// have needed, which is less.
void enlarge(int fd, int bytes) {
  lock_size(fd, 0);
  open_window(fd, bytes / 2);
  const int64_t reached = receive_buffer(fd);
  if (reached > 0 && reached < bytes) {
    open_window(fd, static_cast<int>(int64_t{bytes} * (bytes / 2) / reached));
  }
}

void shrink(int fd, int bytes) {
  const int half = bytes / 2;  // the kernel doubles it
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof half);
}

// The shortest round trip. The mean is longer if a server acknowledges a request only with its
// answer.
int64_t round_trip_us(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  constexpr uint32_t kUnknown = UINT32_MAX;
  return info.tcpi_min_rtt == kUnknown ? info.tcpi_rtt : info.tcpi_min_rtt;
}

}  // namespace

void ReceiveWindow::begin_body(int fd, uint64_t left, int64_t now_ms) {
  last_ms_ = now_ms;
  const bool is_short = left > 0 && left <= uint64_t{kMaxBytes};
  if (size_ > 0 || is_short) return;
  round_trip_us_ = round_trip_us(fd);
  size_ = receive_buffer(fd);
  slow_size_ = round_trip_us_ > kShortRoundTripUs ? std::max(size_, kMaxBytes) : size_;
  resize(fd, slow_size_);
}

void ReceiveWindow::check_speed(int fd) {
  const int bytes = size_for_speed();
  bytes_ = 0;
  spent_ms_ = 0;
  const bool is_far_smaller = bytes <= size_ / 2;
  if (bytes > size_ || is_far_smaller) resize(fd, bytes);
}

int ReceiveWindow::size_for_speed() {
  const int64_t fast_ms = std::max(kFastMs, kFastRoundTrips * round_trip_us_ / 1'000);
  is_fast_ = spent_ms_ <= (is_fast_ ? 2 * fast_ms : fast_ms);
  if (!is_fast_) return slow_size_;
  const int64_t spent_us = std::max<int64_t>(spent_ms_, 1) * 1'000;
  const int64_t of_round_trip = static_cast<int64_t>(bytes_) * round_trip_us_ / spent_us;
  return static_cast<int>(
      std::clamp(kHeldRoundTrips * of_round_trip, int64_t{kMaxBytes}, kLargestBytes));
}

// A window that was announced once stays usable: a smaller buffer drops nothing that arrives in it.
void ReceiveWindow::resize(int fd, int bytes) {
  if (bytes < size_) shrink(fd, bytes);
  if (bytes > size_ || receive_buffer(fd) < bytes) enlarge(fd, bytes);
  size_ = bytes;
  lock_size(fd, SOCK_RCVBUF_LOCK);
}

}  // namespace streamgate
