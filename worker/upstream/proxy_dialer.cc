#include "worker/upstream/proxy_dialer.h"

#include <array>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr size_t kReadBytes = 4096;

// For the Dialer, which needs a URL.
HttpUrl url_of(const ProxyAddress& proxy) {
  HttpUrl url;
  url.host = proxy.host;
  url.host_is_ipv6 = proxy.host.find(':') != std::string::npos;
  url.port = proxy.port;
  return url;
}

}  // namespace

ProxyDialer::ProxyDialer(const Dialer::Tools& tools, Resolver& resolver,
                         const HostSettings& settings, const HttpUrl& url,
                         std::vector<SocketAddress> addresses, Dialer::Observer& observer)
    : tools_(tools),
      resolver_(resolver),
      settings_(settings),
      url_(url),
      addresses_(first_addresses(std::move(addresses))),
      observer_(observer),
      proxy_url_(url_of(settings.config.proxy)),
      deadline_(tools.wheel, this, call<&ProxyDialer::on_deadline>) {}

ProxyDialer::~ProxyDialer() { cancel(); }

void ProxyDialer::start() {
  deadline_.arm(tools_.config.connect_timeout);
  const auto* known = resolver_.resolve(proxy_url_.host, *this, lookup_);
  if (known != nullptr) on_resolved(*known);
}

void ProxyDialer::cancel() {
  step_ = Step::done;
  deadline_.cancel();
  lookup_.reset();
  for (const auto& each : rounds_) {
    each->to_proxy->cancel();
    if (each->tls) each->tls->cancel();
  }
  if (rounds_.empty()) return;
  stop_watching();
  round().socket.close(TlsGoodbye::abrupt);
}

// --- to the proxy ---

void ProxyDialer::on_resolved(const ResolvedName& name) {
  lookup_.reset();
  for (const IpAddress& address : name.addresses) {
    proxy_addresses_.emplace_back(address, proxy_url_.port);
  }
  begin_round();
}

void ProxyDialer::on_resolve_failed(Error error) { fail(at_proxy(error)); }

void ProxyDialer::begin_round() {
  auto next = std::make_unique<Round>();
  if (!addresses_.empty()) next->address = addresses_[rounds_.size()];
  Dialer::Observer& self = *this;
  next->to_proxy = std::make_unique<Dialer>(tools_, proxy_url_, proxy_addresses_, self);
  rounds_.push_back(std::move(next));
  step_ = Step::connecting;
  round().to_proxy->start();
}

void ProxyDialer::on_dialed(UpstreamSocket socket, const SocketAddress& /*address*/) {
  if (step_ == Step::shaking_hands) return succeed(std::move(socket));
  if (settings_.sends_absolute_form(url_)) return succeed(std::move(socket));
  round().socket = std::move(socket);
  ask();
}

void ProxyDialer::on_dial_failed(Error error) {
  if (step_ != Step::shaking_hands) return fail(at_proxy(error));
  error.detail += " (through " + settings_.config.proxy.for_log() + ")";
  fail(std::move(error));
}

// --- the handshake with the proxy ---

void ProxyDialer::ask() {
  step_ = Step::asking;
  Round& now = round();
  now.handshake = ProxyHandshake::make(settings_.config.proxy, addresses_.empty()
                                                                   ? TunnelTarget::of(url_)
                                                                   : TunnelTarget::of(now.address));
  const int fd = now.socket.fd();
  now.readable.reset(
      event_new(tools_.base, fd, EV_READ, callback<&ProxyDialer::exchange_bytes>, this));
  now.writable.reset(
      event_new(tools_.base, fd, EV_WRITE, callback<&ProxyDialer::exchange_bytes>, this));
  CHECK(now.readable && now.writable);
  exchange_bytes();
}

void ProxyDialer::exchange_bytes() {
  if (step_ != Step::asking) return;
  Round& now = round();
  std::array<char, kReadBytes> bytes;
  while (send_what_is_due()) {
    const auto outcome = now.socket.read(bytes, bytes.size());
    if (outcome.bytes > 0) {
      const auto received = now.handshake->receive({bytes.data(), outcome.bytes});
      if (!received) return on_refused(received.error());
      if (now.handshake->is_done()) return on_tunnel();
      continue;
    }
    if (outcome.end != UpstreamSocket::ReadEnd::drained) {
      return on_refused({Reason::proxy_failed, "the proxy closed the connection"});
    }
    CHECK(event_add(now.readable.get(), nullptr) == 0);
    return;
  }
}

// False if the socket takes no more bytes now, or if the round has ended.
bool ProxyDialer::send_what_is_due() {
  Round& now = round();
  while (!now.handshake->to_send().empty()) {
    const auto written = now.socket.write(now.handshake->to_send());
    now.handshake->sent(written.bytes);
    if (written.bytes > 0) continue;
    // A proxy may answer and then close, so its bytes are read first.
    if (written.is_broken) return true;
    CHECK(event_add(now.writable.get(), nullptr) == 0);
    return false;
  }
  return true;
}

void ProxyDialer::on_refused(const Error& error) {
  const bool has_next = rounds_.size() < addresses_.size();
  if (!round().handshake->is_about_target() || !has_next) return fail(at_proxy(error));
  stop_watching();
  round().socket.close(TlsGoodbye::abrupt);
  begin_round();
}

// --- to the upstream ---

void ProxyDialer::on_tunnel() {
  stop_watching();
  Round& now = round();
  if (!url_.is_https) {
    if (trace_ != nullptr) trace_->on_transport_open(now.address);
    return succeed(std::move(now.socket));
  }
  step_ = Step::shaking_hands;
  Dialer::Observer& self = *this;
  now.tls = std::make_unique<Dialer>(tools_, url_, std::vector<SocketAddress>{}, self);
  now.tls->set_trace(trace_);
  now.tls->start_tls_on(std::move(now.socket), now.address);
}

void ProxyDialer::succeed(UpstreamSocket socket) {
  step_ = Step::done;
  deadline_.cancel();
  observer_.on_dialed(std::move(socket), round().address);
}

void ProxyDialer::fail(Error error) {
  cancel();
  observer_.on_dial_failed(std::move(error));
}

// `overloaded` (no descriptors here) and `connect_timeout` keep their reasons.
Error ProxyDialer::at_proxy(const Error& error) const {
  const bool keeps_reason =
      error.reason == Reason::overloaded || error.reason == Reason::connect_timeout;
  return {keeps_reason ? error.reason : Reason::proxy_failed,
          settings_.config.proxy.for_log() + ": " + error.detail};
}

void ProxyDialer::stop_watching() {
  if (round().readable) event_del(round().readable.get());
  if (round().writable) event_del(round().writable.get());
}

void ProxyDialer::on_deadline() {
  std::string_view waits_for = "connect";
  if (step_ == Step::resolving) waits_for = "its name";
  if (step_ == Step::asking) waits_for = "its answer";
  if (step_ == Step::shaking_hands) waits_for = "the TLS handshake behind it";
  fail(at_proxy({Reason::connect_timeout, std::string(waits_for)}));
}

}  // namespace streamgate
