#include "worker/client_gate.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// What evhtp is shown of every request: enough for its life cycle, nothing of the client's bytes.
constexpr std::string_view kCanonicalHead = "GET / HTTP/1.1\r\n\r\n";

constexpr std::chrono::milliseconds kLingerTimeout{2'000};
constexpr size_t kMostLingeredBytes = size_t{64} * 1024;
constexpr size_t kReadBytes = size_t{16} * 1024;
constexpr size_t kMostBufferedBytes = size_t{64} * 1024;  // pipelined requests that wait
constexpr size_t kLargestWriteBytes = size_t{1024} * 1024;

}  // namespace

ClientGate::ClientGate(GateEnvironment& environment, evhtp_connection_t* connection,
                       std::optional<Reason> refuse_with)
    : environment_(environment),
      connection_(connection),
      bev_(connection->bev),
      fd_(static_cast<int>(connection->sock)),
      refuse_with_(refuse_with),
      parser_(environment.limits),
      stream_(*this, environment.wheel, environment.client.write_stall_timeout),
      read_event_(event_new(connection->evbase, fd_, EV_READ | EV_PERSIST,
                            callback<&ClientGate::on_readable>, this)),
      deadline_(environment.wheel, this,
                [](void* self) { static_cast<ClientGate*>(self)->on_deadline(); }) {
  CHECK(read_event_);
  bufferevent_event_cb unused_event_callback = nullptr;
  void* unused_argument = nullptr;
  bufferevent_getcb(bev_, &evhtp_read_, &evhtp_write_, &unused_event_callback, &unused_argument);
  // Reading is ours: large reads when we want them, and a client's FIN is seen while we answer.
  bufferevent_disable(bev_, EV_READ);
  bufferevent_setcb(bev_, nullptr, &ClientGate::on_bufferevent_write,
                    &ClientGate::on_bufferevent_event, this);
  bufferevent_set_max_single_write(bev_, kLargestWriteBytes);
  // Two casts: evhtp's generic hook type takes no arguments, which C++ will not convert to in one.
  evhtp_connection_set_hook(
      connection, evhtp_hook_on_connection_fini,
      reinterpret_cast<evhtp_hook>(reinterpret_cast<void (*)()>(&ClientGate::on_connection_fini)),
      this);
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &length) != 0) length = 0;
  stream_.attach(fd_, bev_,
                 SocketAddress::from_native(reinterpret_cast<const sockaddr*>(&peer), length));
  event_add(read_event_.get(), nullptr);
  reading_ = true;
  deadline_.arm(environment.client.header_timeout);
}

ClientGate::~ClientGate() { CHECK(connection_ == nullptr); }

bool ClientGate::may_keep_alive() const {
  return stream_.head().keep_alive && !drain_idle_ && !refuse_with_;
}

void ClientGate::on_readable() {
  if (phase_ == Phase::closed) return;
  // What had been pipelined is served first: reading on for each small request would gather a
  // flood.
  if (!std::exchange(has_pipelined_, false)) read_input();
  if (phase_ == Phase::reading_head) take_head();
}

void ClientGate::read_input() {
  if (phase_ == Phase::serving && input_.size() >= kMostBufferedBytes) {
    event_del(read_event_.get());
    reading_ = false;
    return;
  }
  std::array<char, kReadBytes> bytes;
  const ssize_t received = ::recv(fd_, bytes.data(), bytes.size(), 0);
  if (received < 0) {
    if (errno != EAGAIN && errno != EINTR) on_input_end();
    return;
  }
  if (received == 0) return on_input_end();
  const auto size = static_cast<size_t>(received);
  if (phase_ == Phase::lingering) {
    lingered_bytes_ += size;
    if (lingered_bytes_ > kMostLingeredBytes) free_connection();
    return;
  }
  input_.append(bytes.data(), size);
}

// FIN or an error. A client that closes its sending side has left (documented in the manual).
void ClientGate::on_input_end() {
  if (phase_ == Phase::serving) stream_.lose(Reason::client_gone);
  free_connection();
}

void ClientGate::take_head() {
  if (input_.empty()) return;
  const bool was_started = parser_.started();
  const auto size = parser_.parse(input_);
  if (!size) return refuse(size.error());
  if (*size == 0) {
    if (!was_started && parser_.started()) deadline_.arm(environment_.client.header_timeout);
    return;
  }
  // The head's views point into these bytes: they stay where they are, and what follows moves.
  head_bytes_.swap(input_);
  input_.assign(head_bytes_, *size);
  deadline_.cancel();
  phase_ = Phase::serving;
  stream_.begin(parser_.head(), nullptr);
  if (refuse_with_) return refuse({*refuse_with_, {}});
  feed_evhtp();
}

void ClientGate::feed_evhtp() {
  // The input of a socket bufferevent is frozen at its end, but not at its front.
  CHECK(evbuffer_prepend(bufferevent_get_input(bev_), kCanonicalHead.data(),
                         kCanonicalHead.size()) == 0);
  environment_.feeding = this;
  evhtp_read_(bev_, connection_);
  environment_.feeding = nullptr;
  if (connection_ == nullptr) return;
  CHECK(request_ != nullptr);
  // Only now, outside evhtp's parser: the answer may be complete before this returns.
  environment_.observer.on_request(*this);
}

void ClientGate::on_evhtp_request(evhtp_request_t* request) { request_ = request; }

void ClientGate::refuse(const Error& error) {
  const Reason reason = error.reason;
  count(environment_.counters.requests_refused);
  environment_.observer.on_refused(*this, error);
  if (phase_ == Phase::reading_head) stream_.begin(parser_.head(), nullptr);
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
  // evhtp ends its request object, and makes its parser ready for the next head.
  request_->flags |= EVHTP_REQ_FLAG_FINISHED | EVHTP_REQ_FLAG_KEEPALIVE;
  request_ = nullptr;
  evhtp_write_(bev_, connection_);
  if (connection_ != nullptr) wait_for_next_request();
}

void ClientGate::wait_for_next_request() {
  phase_ = Phase::reading_head;
  head_bytes_.clear();
  parser_.reset();
  // A response that was under way when draining began has promised to stay open: one more request.
  deadline_.arm(drain_idle_.value_or(environment_.client.keepalive_timeout));
  if (!reading_) event_add(read_event_.get(), nullptr);
  reading_ = true;
  // From the event loop, not from inside the exchange that has just finished.
  has_pipelined_ = !input_.empty();
  if (has_pipelined_) event_active(read_event_.get(), EV_READ, 1);
}

void ClientGate::on_response_broken() {
  if (connection_ == nullptr) return;
  // The client must see a reset, not an end that looks complete.
  const struct linger at_once { 1, 0 };
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  free_connection();
}

// Closes the sending side and waits for the client to do the same: closing with unread input would
// reset the connection and could take our answer with it.
void ClientGate::linger() {
  phase_ = Phase::lingering;
  ::shutdown(fd_, SHUT_WR);
  if (!reading_) event_add(read_event_.get(), nullptr);
  reading_ = true;
  input_.clear();
  deadline_.arm(kLingerTimeout);
}

void ClientGate::on_deadline() {
  if (phase_ == Phase::reading_head && parser_.started())
    return refuse({Reason::request_timeout, {}});
  free_connection();
}

void ClientGate::drain(std::chrono::milliseconds idle) {
  // No time at all is the shortest one here; a deadline would take it for none.
  drain_idle_ = std::max(idle, std::chrono::milliseconds{1});
  if (phase_ == Phase::reading_head && !parser_.started()) deadline_.arm(*drain_idle_);
}

void ClientGate::close() {
  if (connection_ == nullptr) return;
  if (phase_ == Phase::serving) {
    stream_.lose(Reason::stopping);
    return on_response_broken();
  }
  free_connection();
}

void ClientGate::free_connection() {
  if (connection_ != nullptr) evhtp_connection_free(connection_);  // calls on_connection_fini
}

void ClientGate::on_bufferevent_write(bufferevent* bev, void* self) {
  auto& gate = *static_cast<ClientGate*>(self);
  if (gate.phase_ != Phase::serving || evbuffer_get_length(bufferevent_get_output(bev)) > 0) return;
  gate.stream_.on_output_drained();
}

void ClientGate::on_bufferevent_event(bufferevent* /*bev*/, short what, void* self) {
  if ((what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) == 0) return;
  static_cast<ClientGate*>(self)->on_input_end();
}

evhtp_res ClientGate::on_connection_fini(evhtp_connection_t* /*connection*/, void* self) {
  auto& gate = *static_cast<ClientGate*>(self);
  gate.phase_ = Phase::closed;
  gate.connection_ = nullptr;
  gate.request_ = nullptr;
  gate.bev_ = nullptr;
  gate.read_event_.reset();
  gate.deadline_.cancel();
  gate.stream_.lose(Reason::client_gone);
  gate.environment_.observer.on_gate_closed(gate);
  return EVHTP_RES_OK;
}

}  // namespace streamgate
