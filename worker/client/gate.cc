#include "worker/client/gate.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "worker/http/own_response.h"
#include "worker/loop/openssl.h"

namespace streamgate {
namespace {

constexpr std::chrono::milliseconds kLingerTimeout{2'000};
constexpr size_t kMostLingeredBytes = size_t{64} * 1024;
constexpr size_t kReadBytes = size_t{16} * 1024;
constexpr size_t kMostBufferedBytes = size_t{64} * 1024;  // pipelined requests that wait

// An idle client is a gate and what is left of evhtp's connection; 4 KiB is what it may cost.
static_assert(sizeof(ClientGate) <= 1024);

// As accept() told it to evhtp, which keeps no length beside it.
SocketAddress peer_of(const evhtp_connection_t& connection) {
  switch (connection.saddr->sa_family) {
    case AF_INET:
      return SocketAddress::from_native(connection.saddr, sizeof(sockaddr_in));
    case AF_INET6:
      return SocketAddress::from_native(connection.saddr, sizeof(sockaddr_in6));
    default:  // clients of a Unix socket have no name
      return SocketAddress::from_native(connection.saddr, sizeof(sa_family_t));
  }
}

// Three quarters of an idle connection: a parser of 8 KiB and an event nobody will use. evhtp
// frees what is left of a connection without them.
void slim(evhtp_connection_t& connection) {
  std::free(connection.parser);
  connection.parser = nullptr;
  event_free(connection.resume_ev);
  connection.resume_ev = nullptr;
}

}  // namespace

ClientGate::ClientGate(GateEnvironment& environment, evhtp_connection_t* connection, Ssl ssl,
                       std::optional<Reason> refuse_with)
    : environment_(environment),
      connection_(connection),
      socket_(static_cast<int>(connection->sock), std::move(ssl)),
      phase_(socket_.is_tls() ? Phase::handshaking : Phase::reading_head),
      refuse_with_(refuse_with),
      stream_(*this, environment.wheel, environment.client),
      readable_(connection->evbase, socket_.fd(), EV_READ | EV_PERSIST,
                callback<&ClientGate::on_readable>, this),
      deadline_(environment.wheel, this, call<&ClientGate::on_deadline>) {
  slim(*connection);
  stream_.attach(connection->evbase, socket_, peer_of(*connection));
  // Ours first: the socket then stays registered while evhtp's event for it goes.
  watch_input();
  bufferevent_disable(connection->bev, EV_READ);
  bufferevent_setcb(connection->bev, nullptr, nullptr, nullptr, nullptr);
  deadline_.arm(environment.client.header_timeout);
}

ClientGate::~ClientGate() { CHECK(phase_ == Phase::closed); }

bool ClientGate::may_keep_alive() const {
  return stream_.head().keep_alive && !drain_idle_ && !refuse_with_;
}

void ClientGate::on_readable() {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::handshaking && !shake_hands()) return;
  // What had been pipelined is served first: reading on for each small request would gather a
  // flood.
  if (!std::exchange(has_pipelined_, false)) read_input();
  if (phase_ == Phase::reading_head) take_head();
}

// False: not yet, or not with this client.
bool ClientGate::shake_hands() {
  switch (socket_.shake_hands()) {
    case ClientSocket::Handshake::done:
      phase_ = Phase::reading_head;
      deadline_.arm(drain_idle_.value_or(environment_.client.header_timeout));
      return true;
    case ClientSocket::Handshake::wants_read:
      return false;
    case ClientSocket::Handshake::wants_write:
      wait_to_write();
      return false;
    case ClientSocket::Handshake::plain_http:
      intake_ = environment_.intakes.take();
      phase_ = Phase::reading_head;
      refuse({Reason::bad_request, "plain HTTP where TLS is spoken"});
      return false;
    case ClientSocket::Handshake::failed:
      if (log::enabled(LogLevel::debug)) {
        log::debug("tls.handshake_failed",
                   {{"client", peer().to_string()}, {"detail", take_tls_errors()}});
      }
      disconnect();
      return false;
  }
  return false;
}

// TLS cannot go on reading, or cannot end, before it has written.
void ClientGate::wait_to_write() {
  if (!writable_) {
    writable_ = std::make_unique<MemberEvent>(connection_->evbase, socket_.fd(), EV_WRITE,
                                              callback<&ClientGate::on_writable>, this);
  }
  readable_.remove();
  reading_ = false;
  writable_->add();
}

void ClientGate::on_writable() {
  if (phase_ == Phase::lingering && !socket_.shut_writing()) return wait_to_write();
  watch_input();
  on_readable();
}

void ClientGate::watch_input() {
  if (!reading_) readable_.add();
  reading_ = true;
}

void ClientGate::read_input() {
  if (phase_ == Phase::serving && intake_->input.size() >= kMostBufferedBytes) {
    readable_.remove();
    reading_ = false;
    return;
  }
  std::array<char, kReadBytes> bytes;
  const ClientSocket::Moved received = socket_.read(bytes);
  // FIN or an error. A client that closes its sending side has left (documented in the manual).
  if (received.gone) return disconnect();
  if (received.wants_write) return wait_to_write();
  if (received.bytes == 0) return;
  if (phase_ == Phase::lingering) {
    lingered_bytes_ += received.bytes;
    if (lingered_bytes_ > kMostLingeredBytes) disconnect();
    return;
  }
  if (!intake_) intake_ = environment_.intakes.take();
  intake_->input.append(bytes.data(), received.bytes);
}

void ClientGate::take_head() {
  if (!intake_ || intake_->input.empty()) return;
  RequestHeadParser& parser = intake_->parser;
  const bool was_started = parser.started();
  const auto size = parser.parse(intake_->input);
  if (!size) return refuse(size.error());
  if (*size == 0) {
    if (!was_started && parser.started()) deadline_.arm(environment_.client.header_timeout);
    return;
  }
  // The head's views point into these bytes: they stay where they are, and what follows moves.
  intake_->head_bytes.swap(intake_->input);
  intake_->input.assign(intake_->head_bytes, *size);
  deadline_.cancel();
  phase_ = Phase::serving;
  stream_.begin(parser.head(), nullptr);
  if (refuse_with_) return refuse({*refuse_with_, {}});
  environment_.observer.on_request(*this);
}

void ClientGate::return_intake() {
  if (intake_) environment_.intakes.give_back(std::move(intake_));
}

void ClientGate::refuse(const Error& error) {
  const Reason reason = error.reason;
  count(environment_.counters, Counter::requests_refused);
  if (phase_ == Phase::reading_head) stream_.begin(intake_->parser.head(), nullptr);
  environment_.observer.on_refused(*this, error);
  phase_ = Phase::serving;
  deadline_.cancel();
  refuse_with_ = reason;
  const bool head_only = reason == Reason::overloaded && stream_.head().method == Method::head;
  stream_.send_head(write_error_response(error, head_only, false, environment_.cors),
                    {ClientFraming::Kind::none, 0}, false);
  stream_.finish();
}

void ClientGate::on_response_sent() {
  if (phase_ != Phase::serving) return;
  if (!stream_.keeps_alive()) return linger();
  wait_for_next_request();
}

void ClientGate::wait_for_next_request() {
  phase_ = Phase::reading_head;
  // A response that was under way when draining began has promised to stay open: one more request.
  deadline_.arm(drain_idle_.value_or(environment_.client.keepalive_timeout));
  watch_input();
  has_pipelined_ = !intake_->input.empty();
  if (!has_pipelined_) return return_intake();
  intake_->head_bytes.clear();
  intake_->parser.reset();
  // From the event loop, not from inside the exchange that has just finished.
  readable_.activate(EV_READ);
}

void ClientGate::on_response_broken() {
  // The client must see a reset, not an end that looks complete.
  socket_.reset_on_close();
  disconnect();
}

// Closes the sending side and waits for the client to do the same: closing with unread input would
// reset the connection and could take our answer with it.
void ClientGate::linger() {
  phase_ = Phase::lingering;
  return_intake();
  deadline_.arm(kLingerTimeout);
  if (!socket_.shut_writing()) return wait_to_write();
  watch_input();
}

void ClientGate::on_deadline() {
  if (phase_ == Phase::reading_head && head_started()) {
    return refuse({Reason::request_timeout, {}});
  }
  disconnect();
}

void ClientGate::drain(std::chrono::milliseconds idle) {
  // No time at all is the shortest one here; a deadline would take it for none.
  drain_idle_ = std::max(idle, std::chrono::milliseconds{1});
  if (phase_ == Phase::reading_head && !head_started()) deadline_.arm(*drain_idle_);
}

void ClientGate::close() {
  if (phase_ == Phase::serving) {
    stream_.lose(Reason::stopping);
    return on_response_broken();
  }
  disconnect();
}

// An exchange that is still answering is told first: what it was lent goes with the connection.
void ClientGate::disconnect() {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::reading_head) socket_.say_goodbye();
  phase_ = Phase::closed;
  stream_.lose(Reason::client_gone);
  readable_.remove();
  if (writable_) writable_->remove();
  deadline_.cancel();
  return_intake();
  connection_.reset();
  environment_.observer.on_gate_closed(*this);
}

}  // namespace streamgate
