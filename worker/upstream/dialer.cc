#include "worker/upstream/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr size_t kMostAddresses = 16;
constexpr timeval kNextAddressAfter{0, 250'000};  // RFC 8305 5
constexpr timeval kAtOnce{0, 0};

std::vector<SocketAddress> first_of(std::vector<SocketAddress> addresses) {
  if (addresses.size() > kMostAddresses) addresses.resize(kMostAddresses);
  return addresses;
}

// Out of descriptors or memory is our trouble and not the upstream's.
Error socket_error(int error, const SocketAddress& address) {
  const bool is_ours = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
  const Reason reason = is_ours              ? Reason::overloaded
                        : error == ETIMEDOUT ? Reason::connect_timeout
                                             : Reason::connect_failed;
  return {reason, address.to_string() + ": " + std::strerror(error)};
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
      addresses_(first_of(std::move(addresses))),
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
  close_tls(std::move(ssl_), TlsGoodbye::abrupt);
  fd_.reset();
}

// Goes through the addresses until one is under way. That fails at once only for reasons of our
// own machine (no route, no descriptor).
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
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    note(socket_error(errno, address));
    return false;
  }
  set_on(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  if (address.family() == AF_INET6) set_on(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (::connect(fd.get(), address.native(), address.length()) != 0 && errno != EINPROGRESS) {
    note(socket_error(errno, address));
    return false;
  }
  legs_.push_back(std::make_unique<Leg>(*this, address, std::move(fd)));
  CHECK(event_add(legs_.back()->event.get(), nullptr) == 0);
  return true;
}

void Dialer::on_timer() {
  if (step_ == Step::failing) {
    return fail(error_.value_or(Error{Reason::connect_failed, "no address"}));
  }
  if (step_ == Step::connecting) try_next();
}

void Dialer::on_leg_writable(Leg& leg) {
  if (step_ != Step::connecting) return;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(leg.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) return shake_hands(leg);
  note(socket_error(error, leg.address));
  leg.close();
  event_del(timer_.get());
  try_next();
}

bool Dialer::is_any_leg_open() const {
  return std::any_of(legs_.begin(), legs_.end(), [](const auto& leg) { return leg->fd.valid(); });
}

// The last failure counts, but one of our own is not covered up by a later one.
void Dialer::note(Error error) {
  if (!error_ || error_->reason != Reason::overloaded) error_ = std::move(error);
}

void Dialer::shake_hands(Leg& winner) {
  event_del(timer_.get());
  event_del(winner.event.get());
  fd_ = std::move(winner.fd);
  address_ = winner.address;
  close_legs();
  if (!url_.is_https) return succeed();
  CHECK(tools_.tls != nullptr);
  auto ssl = make_tls(*tools_.tls, tools_.config.tls, url_, fd_.get());
  if (!ssl) return fail(std::move(ssl).error());
  ssl_ = std::move(*ssl);
  tools_.sessions.offer(*ssl_, url_.authority());
  step_ = Step::shaking_hands;
  readable_.reset(
      event_new(tools_.base, fd_.get(), EV_READ, callback<&Dialer::go_on_shaking_hands>, this));
  writable_.reset(
      event_new(tools_.base, fd_.get(), EV_WRITE, callback<&Dialer::go_on_shaking_hands>, this));
  CHECK(readable_ && writable_);
  go_on_shaking_hands();
}

void Dialer::go_on_shaking_hands() {
  if (step_ != Step::shaking_hands) return;
  ERR_clear_error();
  const int outcome = SSL_do_handshake(ssl_.get());
  if (outcome == 1) return succeed();
  switch (SSL_get_error(ssl_.get(), outcome)) {
    case SSL_ERROR_WANT_READ:
      return wait_for(EV_READ);
    case SSL_ERROR_WANT_WRITE:
      return wait_for(EV_WRITE);
    default:
      return fail({Reason::tls_failed, url_.authority() + " at " + address_.to_string() + ": " +
                                           take_handshake_error(ssl_.get())});
  }
}

void Dialer::wait_for(short what) {
  CHECK(event_add((what == EV_READ ? readable_ : writable_).get(), nullptr) == 0);
}

void Dialer::succeed() {
  step_ = Step::done;
  deadline_.cancel();
  // Not watched by us any more before somebody else does.
  if (readable_) event_del(readable_.get());
  if (writable_) event_del(writable_.get());
  observer_.on_dialed(std::move(fd_), std::move(ssl_), address_);
}

void Dialer::fail(Error error) {
  cancel();
  observer_.on_dial_failed(std::move(error));
}

void Dialer::close_legs() {
  for (const auto& leg : legs_) leg->close();
}

void Dialer::on_deadline() {
  const char* what = step_ == Step::shaking_hands ? "TLS handshake" : "connect";
  fail({Reason::connect_timeout, url_.authority() + ": " + what});
}

}  // namespace streamgate
