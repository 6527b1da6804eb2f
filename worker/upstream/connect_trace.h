// Watches how a connection to an upstream is opened, for `streamgate explain`. Only such requests
// have a trace.
#pragma once

#include "common/result.h"
#include "common/socket_address.h"
#include "worker/upstream/tls_facts.h"

namespace streamgate {

class ConnectTrace {
 public:
  // connect() to this address begins. Addresses are raced, so several may be tried at a time.
  virtual void on_connecting(const SocketAddress& address) = 0;
  virtual void on_address_failed(const SocketAddress& address, const Error& error) = 0;
  // A TCP connection is open, also one through a proxy. The TLS handshake begins, if there is one.
  virtual void on_transport_open(const SocketAddress& address) = 0;
  // The handshake is done or has failed.
  virtual void on_handshake_ended(const TlsFacts& facts) = 0;

 protected:
  ~ConnectTrace() = default;
};

}  // namespace streamgate
