// A client for tests: a ClientStream on one end of a socket pair, and the bytes that arrive at the
// other end.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "common/unique_fd.h"
#include "worker/client/stream.h"
#include "worker/loop/event.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate::testing_peers {

class ClientSide : private ClientStream::Owner {
 public:
  // A few kilobytes fill the socket buffer.
  ClientSide() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    ours_.reset(fds[0]);
    theirs_.reset(fds[1]);
    const int small = 8 * 1024;
    ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    socket_.emplace(fds[0], nullptr);
    stream.attach(base.get(), *socket_, {});
  }

  // Call it once; `observer` may be null.
  void begin(ClientStream::Observer* observer) { stream.begin(head_, id_, observer); }

  // Returns the bytes that have arrived, without waiting.
  std::string receive() {
    std::string out(size_t{1} << 20U, '\0');
    const ssize_t size = ::recv(theirs_.get(), out.data(), out.size(), 0);
    out.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return out;
  }
  // Receives until `size` bytes have arrived, or no more arrive.
  std::string receive(size_t size) {
    std::string out;
    for (int idle = 0; out.size() < size && idle < 20; ++idle) {
      event_base_loop(base.get(), EVLOOP_NONBLOCK);
      const std::string more = receive();
      if (!more.empty()) idle = 0;
      out += more;
    }
    return out;
  }
  // Fills the socket with `x`, so that the stream has no room. Returns the number of bytes.
  size_t fill() {
    size_t filled = 0;
    while (::send(ours_.get(), "x", 1, 0) == 1) ++filled;
    return filled;
  }
  // From here on the socket takes some 200 KiB.
  void widen() {
    const int wide = 256 * 1024;
    EXPECT_EQ(::setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &wide, sizeof wide), 0);
  }
  void leave() { theirs_.reset(); }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  ClientConfig config;

 private:
  void on_response_sent() override {}
  void on_response_broken() override {}

  UniqueFd ours_;
  UniqueFd theirs_;
  std::optional<ClientSocket> socket_;
  RequestHead head_;
  ExchangeId id_;

 public:
  ClientStream stream{*this, wheel, config};
};

}  // namespace streamgate::testing_peers
