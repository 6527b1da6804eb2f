#include "worker/upstream/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr timeval kNextAddressAfter{0, 250'000};  // RFC 8305 5
constexpr timeval kAtOnce{0, 0};

Cause cause_of(int error) {
  if (error == ECONNREFUSED) return Cause::connection_refused;
  const bool is_unreachable = error == ENETUNREACH || error == EHOSTUNREACH;
  return is_unreachable ? Cause::no_route : Cause::none;
}

// A lack of descriptors or memory is this machine's fault, not the upstream's.
Error socket_error(int error, const SocketAddress& address) {
  const bool is_ours = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
  const Reason reason = is_ours              ? Reason::overloaded
                        : error == ETIMEDOUT ? Reason::connect_timeout
                                             : Reason::connect_failed;
  return Error::of(reason, cause_of(error), address.to_string() + ": " + std::strerror(error));
}

void set_on(int fd, int level, int option) {
  const int on = 1;
  ::setsockopt(fd, level, option, &on, sizeof on);
}

}  // namespace

Dialer::Leg::Leg(Dialer& owner, const SocketAddress& where, UniqueFd socket)
    : dialer(owner),
      address(where),
      fd(std::move(socket)),
      event(event_new(owner.tools_.base, fd.get(), EV_WRITE, callback<&Leg::on_writable>, this)) {
  CHECK(event);
}

void Dialer::Leg::on_writable() { dialer.on_leg_writable(*this); }

void Dialer::Leg::close() {
  event_del(event.get());
  fd.reset();
}

Dialer::Dialer(const Tools& tools, const HttpUrl& url, std::vector<SocketAddress> addresses,
               Observer& observer)
    : tools_(tools),
      url_(url),
      addresses_(first_addresses(std::move(addresses))),
      observer_(observer),
      deadline_(tools.wheel, this, call<&Dialer::on_deadline>),
      timer_(evtimer_new(tools.base, callback<&Dialer::on_timer>, this)) {
  CHECK(timer_);
}

Dialer::~Dialer() { cancel(); }

void Dialer::start() {
  deadline_.arm(tools_.config.connect_timeout);
  try_next();
}

void Dialer::cancel() {
  step_ = Step::done;
  deadline_.cancel();
  event_del(timer_.get());
  if (readable_) event_del(readable_.get());
  if (writable_) event_del(writable_.get());
  close_legs();
  socket_.close(TlsGoodbye::abrupt);
}

// Tries the next addresses until one connect() is in progress. connect() fails at once only for
// reasons of this machine (no route, no descriptor).
void Dialer::try_next() {
  while (next_ < addresses_.size()) {
    if (!begin(addresses_[next_++])) continue;
    if (next_ < addresses_.size()) CHECK(event_add(timer_.get(), &kNextAddressAfter) == 0);
    return;
  }
  if (is_any_leg_open()) return;
  step_ = Step::failing;
  CHECK(event_add(timer_.get(), &kAtOnce) == 0);
}

bool Dialer::begin(const SocketAddress& address) {
  if (trace_ != nullptr) trace_->on_connecting(address);
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    note(address, errno);
    return false;
  }
  set_on(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  if (address.family() == AF_INET6) set_on(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (::connect(fd.get(), address.native(), address.length()) != 0 && errno != EINPROGRESS) {
    note(address, errno);
    return false;
  }
  legs_.push_back(std::make_unique<Leg>(*this, address, std::move(fd)));
  CHECK(event_add(legs_.back()->event.get(), nullptr) == 0);
  return true;
}

void Dialer::on_timer() {
  const RequestScope scope(note_);
  if (step_ == Step::failing) {
    return fail(error_.value_or(Error{Reason::connect_failed, "no address"}));
  }
  if (step_ == Step::connecting) try_next();
}

void Dialer::on_leg_writable(Leg& leg) {
  const RequestScope scope(note_);
  if (step_ != Step::connecting) return;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(leg.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) return take_socket_of(leg);
  note(leg.address, error);
  leg.close();
  event_del(timer_.get());
  try_next();
}

bool Dialer::is_any_leg_open() const {
  return std::any_of(legs_.begin(), legs_.end(), [](const auto& leg) { return leg->fd.valid(); });
}

// The last failure is reported, but a later failure does not replace `overloaded`.
void Dialer::note(const SocketAddress& address, int number) {
  Error error = socket_error(number, address);
  if (trace_ != nullptr) trace_->on_address_failed(address, error);
  if (!error_ || error_->reason != Reason::overloaded) error_ = std::move(error);
}

void Dialer::take_socket_of(Leg& winner) {
  event_del(timer_.get());
  event_del(winner.event.get());
  socket_ = UpstreamSocket(std::move(winner.fd));
  address_ = winner.address;
  close_legs();
  if (trace_ != nullptr) trace_->on_transport_open(address_);
  if (!url_.is_https) return succeed();
  begin_tls();
}

void Dialer::start_tls_on(UpstreamSocket socket, const SocketAddress& address) {
  CHECK(url_.is_https);
  deadline_.arm(tools_.config.connect_timeout);
  socket_ = std::move(socket);
  address_ = address;
  if (trace_ != nullptr) trace_->on_transport_open(address_);
  begin_tls();
}

void Dialer::begin_tls() {
  CHECK(tools_.tls != nullptr);
  auto ssl = make_tls(*tools_.tls, tools_.config.tls, url_, socket_.fd());
  if (!ssl) return fail(std::move(ssl).error());
  if (trace_ == nullptr) tools_.sessions.offer(**ssl, session_name(tools_.config.tls, url_));
  socket_.start_tls(std::move(*ssl));
  step_ = Step::shaking_hands;
  readable_.reset(
      event_new(tools_.base, socket_.fd(), EV_READ, callback<&Dialer::continue_handshake>, this));
  writable_.reset(
      event_new(tools_.base, socket_.fd(), EV_WRITE, callback<&Dialer::continue_handshake>, this));
  CHECK(readable_ && writable_);
  continue_handshake();
}

void Dialer::continue_handshake() {
  const RequestScope scope(note_);
  if (step_ != Step::shaking_hands) return;
  switch (socket_.shake_hands()) {
    case UpstreamSocket::Handshake::done:
      if (trace_ != nullptr) trace_->on_handshake_ended(socket_.facts());
      return succeed();
    case UpstreamSocket::Handshake::wants_read:
      return wait_for(EV_READ);
    case UpstreamSocket::Handshake::wants_write:
      return wait_for(EV_WRITE);
    case UpstreamSocket::Handshake::failed:
      return fail_handshake();
  }
}

void Dialer::fail_handshake() {
  Error error = socket_.take_handshake_error();
  if (trace_ != nullptr) trace_->on_handshake_ended(socket_.facts());
  error.detail = url_.authority() + " at " + address_.to_string() + ": " + error.detail;
  fail(std::move(error));
}

void Dialer::wait_for(short what) {
  CHECK(event_add((what == EV_READ ? readable_ : writable_).get(), nullptr) == 0);
}

void Dialer::succeed() {
  step_ = Step::done;
  deadline_.cancel();
  // The observer watches the socket from here on.
  if (readable_) event_del(readable_.get());
  if (writable_) event_del(writable_.get());
  observer_.on_dialed(std::move(socket_), address_);
}

void Dialer::fail(Error error) {
  cancel();
  observer_.on_dial_failed(std::move(error));
}

void Dialer::close_legs() {
  for (const auto& leg : legs_) leg->close();
}

void Dialer::on_deadline() {
  const RequestScope scope(note_);
  const char* what = step_ == Step::shaking_hands ? "TLS handshake" : "connect";
  fail({Reason::connect_timeout, url_.authority() + ": " + what});
}

}  // namespace streamgate
