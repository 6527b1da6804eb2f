#include "worker/upstream/receive_window.h"

#include <linux/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace streamgate {
namespace {

constexpr int64_t kShortRoundTripUs = 2'000;
constexpr int64_t kFastRoundTrips = 10;
// The first window after the release. While it was smaller, the kernel could not see that more
// would come; from here it adapts the buffer. A large one would cost CPU time on a short link,
// where the bytes leave the processor's cache before they are read.
constexpr int kShortLinkWindow = 256 * 1024;
constexpr int kLongLinkWindow = 2 * 1024 * 1024;

// Whether the kernel leaves the size of the receive buffer alone (since Linux 5.15).
void lock_size(int fd, int lock) { ::setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &lock, sizeof lock); }

// SO_RCVLOWAT enlarges a receive buffer so that this window fits. SO_RCVBUF would be limited by
// net.core.rmem_max, which is 208 KiB by default.
void open_window(int fd, int bytes) {
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
}

int64_t round_trip_us(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_rtt;
}

}  // namespace

void ReceiveWindow::begin_body(int fd, uint64_t left, int64_t now_ms) {
  last_ms_ = now_ms;
  const bool is_short = left > 0 && left <= uint64_t{kMaxBytes};
  if (state_ != State::untouched || is_short) return;
  state_ = State::held;
  const int64_t round_trip = round_trip_us(fd);
  is_long_ = round_trip > kShortRoundTripUs;
  if (is_long_) open_window(fd, kMaxBytes / 2);
  lock_size(fd, SOCK_RCVBUF_LOCK);
  fast_ms_ = std::max(kFastMs, kFastRoundTrips * round_trip / 1'000);
}

void ReceiveWindow::check_speed(int fd) {
  const bool is_fast = spent_ms_ <= fast_ms_;
  bytes_ = 0;
  spent_ms_ = 0;
  if (!is_fast) return;
  state_ = State::released;
  lock_size(fd, 0);
  open_window(fd, is_long_ ? kLongLinkWindow : kShortLinkWindow);
}

}  // namespace streamgate
