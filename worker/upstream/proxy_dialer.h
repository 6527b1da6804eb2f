// Opens one connection to an upstream through another proxy, within connect_timeout: resolves the
// proxy's name, connects to it, asks it for the upstream (ProxyHandshake), then does the TLS
// handshake with the upstream. If the proxy cannot reach an address, it is asked for the next one,
// on a new connection. An http request in absolute form needs no ProxyHandshake.
//
// Used by UpstreamPool, one per attempt.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "worker/upstream/dialer.h"
#include "worker/upstream/host_settings.h"
#include "worker/upstream/proxy_handshake.h"
#include "worker/upstream/resolver.h"

namespace streamgate {

class ProxyDialer final : private Resolver::Observer, private Dialer::Observer {
 public:
  // The proxy is in `settings`. `addresses` are those of the upstream, checked by the guard; none
  // if the proxy resolves its name. The references outlive the dialer. The observer is called as by
  // Dialer: with proxy_failed for every failure of the proxy, and with the upstream's address,
  // which is empty if only the proxy knows it.
  ProxyDialer(const Dialer::Tools& tools, Resolver& resolver, const HostSettings& settings,
              const HttpUrl& url, std::vector<SocketAddress> addresses, Dialer::Observer& observer);
  ~ProxyDialer();
  ProxyDialer(const ProxyDialer&) = delete;
  ProxyDialer& operator=(const ProxyDialer&) = delete;

  // Before start(). Null: nobody watches. The connection to the proxy itself is not shown.
  void set_trace(ConnectTrace* trace) { trace_ = trace; }
  void start();
  void cancel();  // closes everything; the observer is not called after it

 private:
  enum class Step { resolving, connecting, asking, shaking_hands, done };

  // One connection to the proxy, for one address of the upstream. Lives as long as the dialer, so
  // that no callback runs on a destroyed one.
  struct Round {
    SocketAddress address;
    std::unique_ptr<ProxyHandshake> handshake;  // null for requests in absolute form
    std::unique_ptr<Dialer> to_proxy;
    UpstreamSocket socket;
    Event readable;  // watches socket
    Event writable;
    std::unique_ptr<Dialer> tls;
  };

  void on_resolved(const ResolvedName& name) override;
  void on_resolve_failed(Error error) override;
  std::optional<IpAddress> client() const override { return std::nullopt; }
  void begin_round();
  void on_dialed(UpstreamSocket socket, const SocketAddress& address) override;
  void on_dial_failed(Error error) override;
  void ask();
  void exchange_bytes();
  bool send_what_is_due();
  void on_refused(const Error& error);
  void on_tunnel();
  void succeed(UpstreamSocket socket);
  void fail(Error error);
  Error at_proxy(const Error& error) const;
  void stop_watching();
  void on_deadline();
  Round& round() { return *rounds_.back(); }

  const Dialer::Tools& tools_;
  Resolver& resolver_;
  const HostSettings& settings_;
  const HttpUrl& url_;
  const std::vector<SocketAddress> addresses_;
  Dialer::Observer& observer_;
  ConnectTrace* trace_ = nullptr;
  const HttpUrl proxy_url_;
  Step step_ = Step::resolving;
  Resolver::LookupHandle lookup_;
  std::vector<SocketAddress> proxy_addresses_;
  std::vector<std::unique_ptr<Round>> rounds_;
  Deadline deadline_;
};

}  // namespace streamgate
