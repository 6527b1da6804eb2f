// Peers for upstream tests: a loopback server in the same event loop, whose connections are
// scripted byte by byte, and a UpstreamConnection::Observer that records its calls.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/socket_address.h"
#include "common/unique_fd.h"
#include "tests/unit/loopback.h"
#include "worker/loop/event.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/connection.h"

namespace streamgate::testing_peers {

inline constexpr char kRequest[] = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

// Runs the loop until `done`; false after 5 s.
inline bool run_until(event_base* base, const std::function<bool()>& done) {
  bool late = false;
  const timeval limit{5, 0};
  const Event timer(evtimer_new(
      base, [](evutil_socket_t, short, void* flag) { *static_cast<bool*>(flag) = true; }, &late));
  event_add(timer.get(), &limit);
  while (!done() && !late) event_base_loop(base, EVLOOP_ONCE);
  return done();
}

// Runs every event that is ready.
inline void settle(event_base* base) {
  for (int i = 0; i < 20; ++i) event_base_loop(base, EVLOOP_NONBLOCK);
}

// One accepted connection.
class Peer {
 public:
  Peer(event_base* base, int fd)
      : fd_(fd),
        readable_(event_new(base, fd, EV_READ | EV_PERSIST, callback<&Peer::on_readable>, this)),
        writable_(event_new(base, fd, EV_WRITE | EV_PERSIST, callback<&Peer::on_writable>, this)) {
    event_add(readable_.get(), nullptr);
  }
  ~Peer() { close(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void send(std::string_view bytes) {
    outgoing_ += bytes;
    event_add(writable_.get(), nullptr);
    on_writable();
  }
  void close() {
    if (!fd_.valid()) return;
    event_del(readable_.get());
    event_del(writable_.get());
    fd_.reset();
  }
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  size_t requests() const {
    size_t count = 0;
    for (size_t at = 0; (at = received.find("\r\n\r\n", at)) != std::string::npos; at += 4) ++count;
    return count;
  }
  size_t unsent() const { return outgoing_.size() - sent_; }

  std::string received;
  bool has_ended = false;  // the worker has closed the connection

 private:
  void on_readable() {
    char bytes[4096];
    const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got > 0) {
      received.append(bytes, static_cast<size_t>(got));
    } else if (got == 0 || errno != EAGAIN) {
      has_ended = true;
      event_del(readable_.get());
    }
  }
  void on_writable() {
    while (sent_ < outgoing_.size()) {
      const ssize_t sent = ::send(fd_.get(), outgoing_.data() + sent_, outgoing_.size() - sent_,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return;
      sent_ += static_cast<size_t>(sent);
    }
    event_del(writable_.get());
  }

  UniqueFd fd_;
  Event readable_;
  Event writable_;
  std::string outgoing_;
  size_t sent_ = 0;
};

class StubServer {
 public:
  explicit StubServer(event_base* base, const char* address = "127.0.0.1")
      : base_(base), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    address_ = bind_to_loopback(fd_.get(), address);
    EXPECT_EQ(::listen(fd_.get(), 16), 0);
    event_.reset(event_new(base, fd_.get(), EV_READ | EV_PERSIST,
                           callback<&StubServer::on_acceptable>, this));
    event_add(event_.get(), nullptr);
  }
  const SocketAddress& address() const { return address_; }
  Peer& peer(size_t index) { return *peers.at(index); }

  std::vector<std::unique_ptr<Peer>> peers;

 private:
  void on_acceptable() {
    const int fd = ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) peers.push_back(std::make_unique<Peer>(base_, fd));
  }

  event_base* base_;
  UniqueFd fd_;
  SocketAddress address_;
  Event event_;
};

// An address that refuses connections: it was bound and is closed again.
inline SocketAddress refusing_address(event_base* base) { return StubServer(base).address(); }

// An address where connect() hangs: a listener whose queue is full and that never accepts.
class Blackhole {
 public:
  Blackhole() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_ = bind_to_loopback(fd_.get());
    EXPECT_EQ(::listen(fd_.get(), 0), 0);
    for (int i = 0; i < 4; ++i) {
      fillers_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      [[maybe_unused]] const int pending =
          ::connect(fillers_.back().get(), address_.native(), address_.length());
    }
  }
  const SocketAddress& address() const { return address_; }

 private:
  UniqueFd fd_;
  SocketAddress address_;
  std::vector<UniqueFd> fillers_;
};

class Recorder final : public UpstreamConnection::Observer {
 public:
  void on_head(const ResponseHead& head) override {
    status = head.status;
    log += "head ";
    if (when_head) when_head();
  }
  void on_body(std::string_view bytes) override {
    if (log.empty() || !log.ends_with("body ")) log += "body ";
    largest = std::max(largest, bytes.size());
    body += bytes;
    if (when_body) when_body();
  }
  void on_read_done() override {
    ++reads;
    if (when_read_done) when_read_done();
  }
  void on_end() override {
    log += "end ";
    ended = true;
    if (when_end) when_end();
  }
  void on_upstream_error(Error why, Retry hint) override {
    log += "error ";
    error = std::move(why);
    retry = hint;
    if (when_error) when_error();
  }
  bool is_over() const { return ended || error.has_value(); }
  std::optional<Reason> reason() const {
    return error ? std::optional<Reason>(error->reason) : std::nullopt;
  }

  int status = 0;
  std::string body;
  std::string log;  // the order of calls; successive bodies once
  size_t largest = 0;
  int reads = 0;
  bool ended = false;
  std::optional<Error> error;
  Retry retry = Retry::no;
  std::function<void()> when_head, when_body, when_read_done, when_end, when_error;
};

// One UpstreamConnection and its surroundings; StubServer::peer(0) is its upstream.
class ConnectionBench {
 protected:
  struct Keeper final : UpstreamConnection::Keeper {
    void on_idle_ended(UpstreamConnection&) override { ++ended; }
    int ended = 0;
  };

  // Call it after `config` is set.
  void connect() {
    connection = std::make_unique<UpstreamConnection>(tools, keeper, UpstreamSocket(connected()));
    EXPECT_TRUE(until([&] { return server.peers.size() == 1; }));
  }
  UniqueFd connected() {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), server.address().native(), server.address().length()), 0);
    evutil_make_socket_nonblocking(fd.get());
    return fd;
  }
  void ask(Recorder& handler, Method method = Method::get) {
    connection->begin_loan();
    connection->send_request(kRequest, method, handler);
    const size_t asked = peer().requests();
    EXPECT_TRUE(until([&] { return peer().requests() > asked; }));
  }
  Peer& peer() { return server.peer(0); }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  UpstreamConfig config;
  Counters counters;
  std::vector<char> scratch = std::vector<char>(256 * 1024);
  SocketMemory socket_memory{wheel};
  UpstreamConnection::Tools tools{base.get(), wheel, socket_memory, config, counters, scratch};
  Keeper keeper;
  StubServer server{base.get()};
  std::unique_ptr<UpstreamConnection> connection;
  Recorder recorder;
};

}  // namespace streamgate::testing_peers
