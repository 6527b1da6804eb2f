// Opens one connection to an upstream within connect_timeout: races its addresses (RFC 8305), then
// does the TLS handshake.
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
#include "common/url.h"
#include "worker/loop/event.h"
#include "worker/loop/request_note.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/connect_trace.h"
#include "worker/upstream/socket.h"
#include "worker/upstream/tls.h"

namespace streamgate {

class Dialer {
 public:
  // Shared by all dialers of a worker. Outlives them.
  struct Tools {
    event_base* base;
    TimerWheel& wheel;
    const UpstreamConfig& config;
    SSL_CTX* tls;  // nullptr: https is never dialled
    TlsSessions& sessions;
  };

  // Exactly one call for each start() that is not cancelled, from the event loop.
  class Observer {
   public:
    // The handshake is done if the URL is https. TCP_NODELAY is set.
    virtual void on_dialed(UpstreamSocket socket, const SocketAddress& address) = 0;
    // connect_failed, connect_timeout, tls_failed; overloaded if there is no descriptor left.
    virtual void on_dial_failed(Error error) = 0;

   protected:
    ~Observer() = default;
  };

  // At most this many addresses are tried.
  static constexpr size_t kMaxAddresses = 16;

  // `url` and `observer` outlive the dialer.
  Dialer(const Tools& tools, const HttpUrl& url, std::vector<SocketAddress> addresses,
         Observer& observer);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Before start(). Null: nobody watches.
  void set_trace(ConnectTrace* trace) { trace_ = trace; }

  void start();
  // Instead of start(): the connection through a proxy is open, and only the TLS handshake remains.
  // Requires an https URL. May call the observer at once.
  void start_tls_on(UpstreamSocket socket, const SocketAddress& address);
  void cancel();  // closes everything; the observer is not called any more

 private:
  enum class Step { connecting, shaking_hands, failing, done };

  // One address that is being tried. Lives as long as the dialer, so that its callbacks never run
  // on a destroyed leg.
  struct Leg {
    Leg(Dialer& owner, const SocketAddress& where, UniqueFd socket);
    void on_writable();
    void close();

    Dialer& dialer;
    const SocketAddress address;
    UniqueFd fd;
    Event event;  // watches fd, so it is destroyed first
  };

  void try_next();
  bool begin(const SocketAddress& address);
  void on_timer();
  void on_leg_writable(Leg& leg);
  bool is_any_leg_open() const;
  void note(const SocketAddress& address, int error);
  void take_socket_of(Leg& winner);
  void begin_tls();
  void continue_handshake();
  void fail_handshake();
  void wait_for(short what);
  void succeed();
  void fail(Error error);
  void close_legs();
  void on_deadline();

  const Tools& tools_;
  const HttpUrl& url_;
  const std::vector<SocketAddress> addresses_;
  Observer& observer_;
  ConnectTrace* trace_ = nullptr;
  const RequestNote* const note_ = current_note();
  Step step_ = Step::connecting;
  size_t next_ = 0;
  std::vector<std::unique_ptr<Leg>> legs_;
  std::optional<Error> error_;  // reported if no leg succeeds
  Deadline deadline_;
  Event timer_;            // for the next leg, or for a failure that start() may not report itself
  UpstreamSocket socket_;  // the winner's
  SocketAddress address_;
  Event readable_;
  Event writable_;
};

// `addresses`, reduced to the first Dialer::kMaxAddresses.
inline std::vector<SocketAddress> first_addresses(std::vector<SocketAddress> addresses) {
  if (addresses.size() > Dialer::kMaxAddresses) addresses.resize(Dialer::kMaxAddresses);
  return addresses;
}

}  // namespace streamgate
