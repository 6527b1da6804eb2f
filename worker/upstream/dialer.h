// Opens one connection to an upstream: races its addresses (RFC 8305), then shakes hands for TLS,
// all of it within connect_timeout.
//
// Used by UpstreamPool, one per attempt.
#pragma once

#include <event2/event.h>

#include <memory>
#include <optional>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "common/socket_address.h"
#include "common/unique_fd.h"
#include "common/url.h"
#include "worker/loop/event.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/tls.h"

namespace streamgate {

class Dialer {
 public:
  // What all dialers of a worker share. Outlives them.
  struct Tools {
    event_base* base;
    TimerWheel& wheel;
    const UpstreamConfig& config;
    SSL_CTX* tls;  // nullptr: no https is ever dialled
    TlsSessions& sessions;
  };

  // Exactly one call per start() that was not cancelled, from the event loop.
  class Observer {
   public:
    // `ssl` only for https, its handshake done. The socket is non-blocking, without Nagle.
    virtual void on_dialed(UniqueFd fd, Ssl ssl, const SocketAddress& address) = 0;
    // connect_failed, connect_timeout, tls_failed; overloaded if there was no descriptor left.
    virtual void on_dial_failed(Error error) = 0;

   protected:
    ~Observer() = default;
  };

  // `url` and `observer` outlive the dialer. At most 16 addresses are tried.
  Dialer(const Tools& tools, const HttpUrl& url, std::vector<SocketAddress> addresses,
         Observer& observer);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  void start();
  void cancel();  // closes everything; no call comes any more

 private:
  enum class Step { connecting, shaking_hands, failing, done };

  // One address being tried. Lives as long as the dialer, so that no callback finds it destroyed.
  struct Leg {
    Leg(Dialer& owner, const SocketAddress& where, UniqueFd socket);
    void on_writable();
    void close();

    Dialer& dialer;
    const SocketAddress address;
    UniqueFd fd;
    Event event;  // after fd: it watches it
  };

  void try_next();
  bool begin(const SocketAddress& address);
  void on_timer();
  void on_leg_writable(Leg& leg);
  bool is_any_leg_open() const;
  void note(Error error);
  void shake_hands(Leg& winner);
  void go_on_shaking_hands();
  void wait_for(short what);
  void succeed();
  void fail(Error error);
  void close_legs();
  void on_deadline();

  const Tools& tools_;
  const HttpUrl& url_;
  const std::vector<SocketAddress> addresses_;
  Observer& observer_;
  Step step_ = Step::connecting;
  size_t next_ = 0;
  std::vector<std::unique_ptr<Leg>> legs_;
  std::optional<Error> error_;  // what to say if no leg succeeds
  Deadline deadline_;
  Event timer_;  // the next leg, or the failure that may not be told from within start()
  UniqueFd fd_;  // the winner's
  SocketAddress address_;
  Ssl ssl_;
  Event readable_;
  Event writable_;
};

}  // namespace streamgate
