#include "worker/client/gate.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "common/ascii.h"
#include "common/check.h"
#include "common/log.h"
#include "worker/client/client_address.h"
#include "worker/client/error_detail.h"
#include "worker/client/proxy_header.h"
#include "worker/http/own_response.h"
#include "worker/loop/openssl.h"
#include "worker/loop/request_note.h"

namespace streamgate {
namespace {

constexpr std::chrono::milliseconds kLingerTimeout{2'000};
constexpr size_t kMaxLingeredBytes = size_t{64} * 1024;
constexpr size_t kReadBytes = size_t{16} * 1024;
constexpr size_t kMaxBufferedBytes = size_t{64} * 1024;  // of pipelined requests

// An idle client costs at most 4 KiB: its gate, and evhtp's connection without the parts that
// free_unused_parts() frees.
static_assert(sizeof(ClientGate) <= 1024);

// Frees evhtp's parser (8 KiB) and resume event, which are three quarters of an idle connection and
// never used. evhtp_connection_free() accepts a connection without them.
void free_unused_parts(evhtp_connection_t& connection) {
  std::free(connection.parser);
  connection.parser = nullptr;
  event_free(connection.resume_ev);
  connection.resume_ev = nullptr;
}

// The Origin in a head that is incomplete or malformed; empty if it is not there. CORS compares it
// with the allowed origins.
std::string_view origin_in(std::string_view received) {
  constexpr std::string_view kName = "Origin:";
  for (size_t end = received.find('\n'); end != received.npos; end = received.find('\n')) {
    std::string_view line = received.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    if (ascii::istarts_with(line, kName)) return ascii::trim(line.substr(kName.size()));
    received.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace

// The address from accept(). evhtp does not keep its length. A service manager's socket may serve
// both families: an IPv4 client of it gets its IPv4 address, as tokens, limits and lists have it.
SocketAddress ClientGate::peer_of(const evhtp_connection_t& connection) {
  switch (connection.saddr->sa_family) {
    case AF_INET:
      return SocketAddress::from_native(connection.saddr, sizeof(sockaddr_in));
    case AF_INET6: {
      const auto peer = SocketAddress::from_native(connection.saddr, sizeof(sockaddr_in6));
      const IpAddress plain = unmapped(peer.ip());
      return plain.is_v4 ? SocketAddress(plain, peer.port()) : peer;
    }
    default:  // clients of a Unix socket have no address
      return SocketAddress::from_native(connection.saddr, sizeof(sa_family_t));
  }
}

ClientGate::ClientGate(Environment& environment, evhtp_connection_t* connection, Ssl ssl,
                       Preface preface)
    : environment_(environment),
      connection_(connection),
      socket_(static_cast<int>(connection->sock), std::move(ssl)),
      phase_(preface == Preface::proxy_header ? Phase::proxy_header
             : socket_.is_tls()               ? Phase::handshaking
                                              : Phase::reading_head),
      idle_(environment.idle, *this),
      stream_(*this, environment.wheel, environment.client),
      readable_(connection->evbase, socket_.fd(), EV_READ | EV_PERSIST,
                callback<&ClientGate::on_readable>, this),
      deadline_(environment.wheel, this, call<&ClientGate::on_deadline>) {
  free_unused_parts(*connection);
  stream_.attach(connection->evbase, socket_, peer_of(*connection));
  // Before evhtp's event is removed, so that the socket stays registered with epoll.
  watch_input();
  bufferevent_disable(connection->bev, EV_READ);
  bufferevent_setcb(connection->bev, nullptr, nullptr, nullptr, nullptr);
  deadline_.arm(environment.client.header_timeout);
  mark(IdleConnections::State::idle);
}

ClientGate::~ClientGate() { CHECK(phase_ == Phase::closed); }

bool ClientGate::may_keep_alive() const {
  return stream_.head().keep_alive && !drain_idle_ && !refuse_with_;
}

// A refused connection stays in this state until it ends.
void ClientGate::mark(IdleConnections::State state) {
  if (idle_.state() == IdleConnections::State::refused) return;
  idle_.set(state, environment_.wheel.last_tick_ms());
}

void ClientGate::on_readable() {
  if (phase_ == Phase::closed) return;
  stream_.name_client();
  const RequestNote note(stream_.client_text());
  const RequestScope scope(&note);
  if (phase_ == Phase::proxy_header && !read_proxy_header()) return;
  if (phase_ == Phase::handshaking && !shake_hands()) return;
  // Pipelined requests are served before more is read, so that they do not pile up.
  if (!std::exchange(has_pipelined_, false)) read_input();
  if (phase_ == Phase::reading_head) take_head();
}

// False: the header is incomplete, or the connection is closed. Bytes after the header stay in the
// socket, because OpenSSL reads them from there. Bytes of an incomplete header are taken out, so
// that the socket becomes readable only when more bytes arrive.
bool ClientGate::read_proxy_header() {
  if (!intake_) intake_ = environment_.intakes.borrow();
  std::string& held = intake_->input;
  const size_t before = held.size();
  std::array<char, kMaxProxyHeaderBytes> bytes;
  const auto give_up = [this] {
    disconnect();
    return false;
  };
  const ClientSocket::Moved peeked = socket_.peek({bytes.data(), bytes.size() - before});
  if (peeked.gone) return give_up();
  if (peeked.bytes == 0) return false;
  held.append(bytes.data(), peeked.bytes);
  const auto header = parse_proxy_header(held);
  if (!header) {
    environment_.observer.on_bad_proxy_header(*this, header.error());
    return give_up();
  }
  const size_t belonging = header->size == 0 ? peeked.bytes : header->size - before;
  if (socket_.read_plain({bytes.data(), belonging}).bytes != belonging) return give_up();
  if (header->size == 0) {
    if (before == 0) mark(IdleConnections::State::receiving);
    return false;
  }
  return_intake();
  if (header->client) stream_.set_peer(*header->client);
  phase_ = socket_.is_tls() ? Phase::handshaking : Phase::reading_head;
  mark(IdleConnections::State::idle);
  if (!refuse_with_) environment_.observer.on_peer_named(*this);
  return phase_ != Phase::closed;
}

// False: the handshake is not done yet, or has failed.
bool ClientGate::shake_hands() {
  if (idle_.state() == IdleConnections::State::idle) mark(IdleConnections::State::receiving);
  switch (socket_.shake_hands()) {
    case ClientSocket::Handshake::done:
      count(environment_.counters, Counter::client_tls_handshakes);
      phase_ = Phase::reading_head;
      mark(IdleConnections::State::idle);
      deadline_.arm(drain_idle_.value_or(environment_.client.header_timeout));
      return true;
    case ClientSocket::Handshake::wants_read:
      return false;
    case ClientSocket::Handshake::wants_write:
      wait_to_write();
      return false;
    case ClientSocket::Handshake::plain_http:
      intake_ = environment_.intakes.borrow();
      phase_ = Phase::reading_head;
      refuse({Reason::bad_request, "plain HTTP on a TLS listener",
              "The plain HTTP request was sent to an HTTPS port."});
      return false;
    case ClientSocket::Handshake::failed:
      count(environment_.counters, Counter::client_tls_handshakes_failed);
      if (log::enabled(LogLevel::debug)) {
        log::debug("tls.handshake_failed",
                   {{"client", peer().to_string()}, {"detail", take_tls_errors()}});
      }
      disconnect();
      return false;
  }
  return false;
}

// TLS must write before it can continue reading or end.
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
  if (phase_ == Phase::serving && intake_->input.size() >= kMaxBufferedBytes) {
    readable_.remove();
    reading_ = false;
    return;
  }
  std::array<char, kReadBytes> bytes;
  const ClientSocket::Moved received = socket_.read(bytes);
  // FIN or an error. A client that closes its sending side counts as gone (README.md).
  if (received.gone) return disconnect();
  if (received.wants_write) return wait_to_write();
  if (received.bytes == 0) return;
  if (phase_ == Phase::lingering) {
    lingered_bytes_ += received.bytes;
    if (lingered_bytes_ > kMaxLingeredBytes) disconnect();
    return;
  }
  if (!intake_) intake_ = environment_.intakes.borrow();
  intake_->input.append(bytes.data(), received.bytes);
}

void ClientGate::take_head() {
  if (!intake_ || intake_->input.empty()) return;
  RequestHeadParser& parser = intake_->parser;
  const bool was_started = parser.started();
  const auto size = parser.parse(intake_->input);
  if (!size) return refuse(size.error());
  if (*size == 0) {
    if (was_started || !parser.started()) return;
    mark(IdleConnections::State::receiving);
    deadline_.arm(environment_.client.header_timeout);
    return;
  }
  // The head's views point into these bytes, so they stay in place, and the bytes after them move.
  intake_->head_bytes.swap(intake_->input);
  intake_->input.assign(intake_->head_bytes, *size);
  deadline_.cancel();
  phase_ = Phase::serving;
  mark(IdleConnections::State::busy);
  begin_response();
  if (environment_.client_address != ClientAddress::peer) {
    stream_.set_client(client_address(parser.head().fields, environment_.client_address, peer(),
                                      environment_.trusted_proxies));
  }
  if (refuse_with_) return refuse({*refuse_with_, {}});
  environment_.observer.on_request(*this);
}

// A head that is refused is incomplete, so its id is ours.
void ClientGate::begin_response() {
  const RequestHead& head = intake_->parser.head();
  std::optional<std::string_view> given;
  if (environment_.takes_exchange_ids && phase_ == Phase::serving &&
      is_trusted(peer(), environment_.trusted_proxies)) {
    given = given_exchange_id(head.fields);
  }
  intake_->id = given ? ExchangeId(*given) : environment_.ids.next();
  stream_.begin(head, intake_->id, nullptr);
}

void ClientGate::return_intake() {
  if (intake_) environment_.intakes.give_back(std::move(intake_));
}

void ClientGate::refuse(const Error& error) {
  const Reason reason = error.reason;
  count(environment_.counters, Counter::requests_refused);
  if (phase_ == Phase::reading_head) begin_response();
  environment_.observer.on_refused(*this, error);
  const bool has_head = phase_ == Phase::serving;
  phase_ = Phase::serving;
  mark(IdleConnections::State::busy);
  deadline_.cancel();
  refuse_with_ = reason;
  const bool head_only = has_head && stream_.head().method == Method::head;
  const Error shown = error_for(
      audience_of(environment_.errors, peer(), has_head ? &stream_.head().fields : nullptr), error);
  const std::string_view origin =
      has_head ? field_or_empty(stream_.head().fields, "Origin") : origin_in(intake_->input);
  stream_.send_head(
      write_error_response({.error = shown, .id = stream_.id().text(), .head_only = head_only},
                           {environment_.cors, origin}),
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
  // A response that had begun before drain() may have announced a connection that stays open, so
  // the client may send one more request.
  deadline_.arm(drain_idle_.value_or(environment_.client.keepalive_timeout));
  watch_input();
  has_pipelined_ = !intake_->input.empty();
  mark(has_pipelined_ ? IdleConnections::State::receiving : IdleConnections::State::idle);
  if (!has_pipelined_) return return_intake();
  intake_->head_bytes.clear();
  intake_->parser.reset();
  // Continues from the event loop, not from inside the exchange that has just finished.
  readable_.activate(EV_READ);
}

void ClientGate::on_response_broken() {
  // A reset, so that the response does not look complete.
  socket_.reset_on_close();
  disconnect();
}

// Closes the sending side and waits for the client to do the same. Closing with unread input would
// reset the connection, and the client could lose the answer.
void ClientGate::linger() {
  phase_ = Phase::lingering;
  mark(IdleConnections::State::idle);
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
  // At least 1 ms, because 0 would cancel the deadline.
  drain_idle_ = std::max(idle, std::chrono::milliseconds{1});
  if (phase_ == Phase::reading_head && !head_started()) deadline_.arm(*drain_idle_);
}

void ClientGate::pause_reading() {
  if (reading_) readable_.remove();
  reading_ = false;
}

void ClientGate::refuse_requests(Reason reason) {
  refuse_with_ = reason;
  mark(IdleConnections::State::refused);
}

bool ClientGate::close_if_idle() {
  // An idle client whose request has begun to arrive becomes a receiving one, at most once: a
  // connection that has been receiving for too long is closed.
  if (idle_.state() == IdleConnections::State::idle && phase_ != Phase::lingering &&
      socket_.has_input()) {
    mark(IdleConnections::State::receiving);
    return false;
  }
  disconnect();
  return true;
}

void ClientGate::end_refused() {
  on_readable();
  if (phase_ == Phase::reading_head) {
    if (!intake_) intake_ = environment_.intakes.borrow();
    refuse({*refuse_with_, {}});
  }
  if (phase_ != Phase::closed) disconnect();
}

void ClientGate::close() {
  if (phase_ == Phase::serving) {
    stream_.lose(Reason::stopping);
    return on_response_broken();
  }
  disconnect();
}

// Notifies an exchange that is still answering, then frees the intake and the connection.
void ClientGate::disconnect() {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::reading_head) socket_.say_goodbye();
  phase_ = Phase::closed;
  idle_.set(IdleConnections::State::busy, 0);
  stream_.lose(Reason::client_gone);
  readable_.remove();
  if (writable_) writable_->remove();
  deadline_.cancel();
  return_intake();
  connection_.reset();
  environment_.observer.on_gate_closed(*this);
}

}  // namespace streamgate
