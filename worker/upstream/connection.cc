#include "worker/upstream/connection.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// The first read of a response, and every one whose bytes are rewritten: most answers are small.
constexpr size_t kSmallReadBytes = size_t{64} * 1024;
// What one connection may take before the others have their turn.
constexpr size_t kWakeBytes = size_t{1024} * 1024;
// OpenSSL reads ahead only while the client has room for more than it may have read: what it read
// and the client does not take would stay in its buffers.
constexpr size_t kReadAheadRoom = size_t{256} * 1024;
// The longest TLS record (RFC 8446 5.1): a read ends with one, so that OpenSSL keeps none of it.
constexpr size_t kRecordBytes = size_t{16} * 1024;
constexpr timeval kAtOnce{0, 0};

}  // namespace

UpstreamConnection::UpstreamConnection(const Tools& tools, Keeper& keeper, UniqueFd fd, Ssl ssl)
    : tools_(tools),
      keeper_(keeper),
      fd_(std::move(fd)),
      ssl_(std::move(ssl)),
      readable_(event_new(tools.base, fd_.get(), EV_READ | EV_PERSIST,
                          callback<&UpstreamConnection::on_readable>, this)),
      later_(evtimer_new(tools.base, callback<&UpstreamConnection::on_later>, this)),
      deadline_(tools.wheel, this, call<&UpstreamConnection::on_deadline>),
      rate_(tools.wheel, this, call<&UpstreamConnection::on_rate_window_end>, tools.config.min_rate,
            tools.config.min_rate_window) {
  CHECK(readable_ && later_);
  start_reading();
}

UpstreamConnection::~UpstreamConnection() { close(); }

// --- the loan ---

void UpstreamConnection::begin_loan() {
  CHECK(step_ == Step::idle);
  step_ = Step::lent;
  reused_ = served_;
  ++loan_;
}

void UpstreamConnection::end_loan() {
  CHECK(is_on_loan());
  ++loan_;
  step_ = Step::idle;
  handler_ = nullptr;
  sink_ = nullptr;
  request_.clear();
  sent_ = 0;
  held_.clear();
  holding_ = false;
  pending_end_.reset();
  paused_ = false;
  deadline_.cancel();
  rate_.reset();
  start_reading();
}

void UpstreamConnection::close() {
  if (step_ == Step::closed) return;
  const bool polite = step_ == Step::idle || step_ == Step::complete;
  ++loan_;
  step_ = Step::closed;
  handler_ = nullptr;
  sink_ = nullptr;
  deadline_.cancel();
  rate_.reset();
  stop_reading();
  event_del(later_.get());
  if (writable_) event_del(writable_.get());
  close_tls(std::move(ssl_), polite ? TlsGoodbye::polite : TlsGoodbye::abrupt);
  fd_.reset();
}

// --- the request ---

void UpstreamConnection::send_request(std::string request, Method method,
                                      ResponseHandler& handler) {
  CHECK(step_ == Step::lent);
  step_ = Step::awaiting_head;
  handler_ = &handler;
  request_ = std::move(request);
  sent_ = 0;
  clean_ = false;
  served_ = true;
  parser_.reset(method);
  start_reading();
  arm_deadline();
  flush_request();
}

void UpstreamConnection::flush_request() {
  while (!is_request_sent()) {
    const ssize_t sent = write_some(std::string_view(request_).substr(sent_));
    if (sent > 0) {
      sent_ += static_cast<size_t>(sent);
      continue;
    }
    if (sent == 0) {
      if (!writable_) {
        writable_.reset(event_new(tools_.base, fd_.get(), EV_WRITE | EV_PERSIST,
                                  callback<&UpstreamConnection::on_writable>, this));
        CHECK(writable_);
      }
      CHECK(event_add(writable_.get(), nullptr) == 0);
      return;
    }
    // The peer has closed; it may still have said why. Reading tells.
    if (writable_) event_del(writable_.get());
    return run_later();
  }
  std::string().swap(request_);  // sent: a long body need not carry it along
  sent_ = 0;
  if (!writable_) return;
  event_del(writable_.get());
  if (step_ == Step::awaiting_head && !paused_) arm_deadline();
}

// Bytes taken, 0 if the socket is full, -1 if it is broken.
ssize_t UpstreamConnection::write_some(std::string_view bytes) {
  if (!ssl_) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
  }
  ERR_clear_error();
  size_t sent = 0;
  if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) == 1) {
    return static_cast<ssize_t>(sent);
  }
  const int error = SSL_get_error(ssl_.get(), 0);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
}

// --- back-pressure ---

void UpstreamConnection::pause() {
  if (paused_) return;
  paused_ = true;
  deadline_.cancel();
  rate_.stop();
  // readable_ stays until the socket is readable: most pauses are over before that.
}

void UpstreamConnection::resume() {
  if (!paused_) return;
  paused_ = false;
  if (!is_receiving()) return;
  arm_deadline();
  start_reading();
  if (holding_ || pending_end_ || (ssl_ && SSL_has_pending(ssl_.get()) == 1)) run_later();
}

// --- the response ---

bool UpstreamConnection::is_receiving() const {
  return step_ == Step::awaiting_head || step_ == Step::relaying_body;
}

void UpstreamConnection::on_readable() {
  if (step_ == Step::idle) return check_idle();
  if (is_receiving() && !paused_) return receive();
  // An end or surplus bytes, which nobody waits for now: level-triggered, they would spin. A
  // connection that spoke after its response is not used again.
  stop_reading();
  if (step_ == Step::complete && !ssl_) clean_ = false;
}

void UpstreamConnection::on_writable() {
  if (!is_receiving() || is_request_sent()) {
    event_del(writable_.get());
    return;
  }
  flush_request();
}

void UpstreamConnection::on_later() {
  if (is_receiving() && !paused_) receive();
}

void UpstreamConnection::receive() {
  if (feed_held() == GoOn::no) return;
  if (pending_end_) return judge_end(*pending_end_);
  size_t left = kWakeBytes;
  while (left > 0) {
    const uint64_t loan = loan_;
    const size_t most = std::min(most_to_read(), left);
    if (loan_ != loan || most == 0) return;
    Pipe* pipe = pipe_for_body();
    size_t received = 0;
    const GoOn go_on =
        pipe != nullptr ? receive_into(*pipe, most, received) : receive_some(most, received);
    if (go_on == GoOn::no) return;
    left -= std::min(left, received);
  }
  // A plain socket that has more says so itself; what OpenSSL holds, nobody else tells.
  if (ssl_) run_later();
}

// 0: the sink has no room, and says when it has.
size_t UpstreamConnection::most_to_read() {
  if (sink_ == nullptr) return std::min(kSmallReadBytes, tools_.scratch.size());
  const size_t room = sink_->room();
  if (!ssl_ || room == 0) return room;
  SSL_set_read_ahead(ssl_.get(), room >= kReadAheadRoom ? 1 : 0);
  return std::max(kRecordBytes, room - std::min(room, kRecordBytes));
}

Pipe* UpstreamConnection::pipe_for_body() {
  const uint64_t body_left = parser_.raw_body_left();
  return sink_ == nullptr || ssl_ || body_left == 0 ? nullptr : sink_->lend_pipe(body_left);
}

void UpstreamConnection::count_received(size_t bytes) {
  count(tools_.counters, Counter::bytes_from_upstreams, bytes);
  if (step_ != Step::relaying_body) return;
  rate_.add(bytes);
  arm_deadline();
}

// Through the scratch buffer.
UpstreamConnection::GoOn UpstreamConnection::receive_some(size_t most, size_t& received) {
  const ReadOutcome outcome = read(std::min(most, tools_.scratch.size()));
  received = outcome.size;
  emptied_ = outcome.end != ReadEnd::full;
  const bool is_end = emptied_ && outcome.end != ReadEnd::drained;
  if (outcome.size > 0) {
    count_received(outcome.size);
    if (is_end) pending_end_ = outcome.end;
    if (feed({tools_.scratch.data(), outcome.size}) == GoOn::no) return GoOn::no;
  }
  if (is_end) judge_end(outcome.end);
  return outcome.end == ReadEnd::full ? GoOn::yes : GoOn::no;
}

// Past the parser, which is told how much went by.
UpstreamConnection::GoOn UpstreamConnection::receive_into(Pipe& pipe, size_t most,
                                                          size_t& received) {
  const uint64_t body_left = parser_.raw_body_left();
  emptied_ = false;
  switch (pipe.fill_from(fd_.get(), static_cast<size_t>(std::min<uint64_t>(most, body_left)))) {
    case Pipe::Filled::drained:
      return GoOn::no;
    case Pipe::Filled::closed:
      judge_end(ReadEnd::closed);
      return GoOn::no;
    case Pipe::Filled::failed:
      judge_end(ReadEnd::failed);
      return GoOn::no;
    case Pipe::Filled::some:
      break;
  }
  received = pipe.bytes();
  count_received(received);
  count(tools_.counters, Counter::bytes_spliced, received);
  parser_.skip_body(received);
  const uint64_t loan = loan_;
  sink_->on_piped();
  if (loan_ != loan) return GoOn::no;
  if (received == body_left) {
    complete(true);
    return GoOn::no;
  }
  return !paused_ ? GoOn::yes : GoOn::no;
}

UpstreamConnection::ReadOutcome UpstreamConnection::read(size_t most) {
  return ssl_ ? read_tls(most) : read_plain(most);
}

UpstreamConnection::ReadOutcome UpstreamConnection::read_plain(size_t most) {
  const ssize_t got = ::recv(fd_.get(), tools_.scratch.data(), most, 0);
  if (got > 0) {
    const auto size = static_cast<size_t>(got);
    // A short read has emptied the socket: no second call to hear EAGAIN.
    return {size, size < most ? ReadEnd::drained : ReadEnd::full};
  }
  if (got == 0) return {0, ReadEnd::closed};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {0, ReadEnd::drained};
  return {0, ReadEnd::failed};
}

UpstreamConnection::ReadOutcome UpstreamConnection::read_tls(size_t most) {
  size_t size = 0;
  // To the end of the last record, for which there is space.
  while (size < most || (size < tools_.scratch.size() && SSL_pending(ssl_.get()) > 0)) {
    ERR_clear_error();
    size_t got = 0;
    const size_t wanted = size < most ? most - size : tools_.scratch.size() - size;
    if (SSL_read_ex(ssl_.get(), tools_.scratch.data() + size, wanted, &got) == 1) {
      size += got;
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), 0);
    const unsigned long code = ERR_peek_error();
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      return {size, ReadEnd::drained};
    }
    if (error == SSL_ERROR_ZERO_RETURN) return {size, ReadEnd::closed};
    const bool no_close_notify = error == SSL_ERROR_SSL && ERR_GET_LIB(code) == ERR_LIB_SSL &&
                                 ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    return {size, no_close_notify ? ReadEnd::truncated : ReadEnd::failed};
  }
  return {size, ReadEnd::full};
}

UpstreamConnection::GoOn UpstreamConnection::feed(std::string_view bytes) {
  const uint64_t loan = loan_;
  while (!paused_) {
    const auto item = parser_.next(bytes);
    if (!item) {
      fail(item.error());
      return GoOn::no;
    }
    if (item->kind == ResponseParser::ItemKind::need_more) {
      handler_->on_read_done();
      return loan_ == loan && !paused_ ? GoOn::yes : GoOn::no;
    }
    if (hand_on(*item, bytes) == GoOn::no || loan_ != loan) return GoOn::no;
  }
  hold(bytes);
  handler_->on_read_done();
  return GoOn::no;
}

// The caller looks whether the loan has ended.
UpstreamConnection::GoOn UpstreamConnection::hand_on(const ResponseParser::Item& item,
                                                     std::string_view rest) {
  switch (item.kind) {
    case ResponseParser::ItemKind::head:
      step_ = Step::relaying_body;
      arm_deadline();
      handler_->on_head(parser_.head());
      return GoOn::yes;
    case ResponseParser::ItemKind::body:
      handler_->on_body(item.body);
      return GoOn::yes;
    case ResponseParser::ItemKind::end:
      complete(rest.empty() && !pending_end_);
      return GoOn::no;
    case ResponseParser::ItemKind::need_more:
      break;
  }
  return GoOn::no;
}

void UpstreamConnection::hold(std::string_view bytes) {
  held_.assign(bytes);
  holding_ = true;
}

UpstreamConnection::GoOn UpstreamConnection::feed_held() {
  if (!holding_) return GoOn::yes;
  holding_ = false;
  // Ours alone while the handler looks at it: it may end the loan, or pause again.
  const std::string bytes = std::exchange(held_, {});
  return feed(bytes);
}

void UpstreamConnection::judge_end(ReadEnd end) {
  const bool head_is_complete = step_ == Step::relaying_body;
  const Reason reason = head_is_complete ? Reason::truncated_body : Reason::bad_response;
  if (end == ReadEnd::failed) return fail({reason, "the connection broke"});
  // Without close_notify, an end of the connection cannot be the end of a body: anyone on the way
  // could have made it (RFC 9112 9.8).
  const bool by_close =
      head_is_complete && parser_.raw_body_left() == std::numeric_limits<uint64_t>::max();
  if (end == ReadEnd::truncated && by_close) return fail({reason, "closed without close_notify"});
  const auto item = parser_.finish();
  if (!item) return fail(item.error());
  complete(false);
}

// `clean`: nothing that was read came behind the response.
void UpstreamConnection::complete(bool clean) {
  step_ = Step::complete;
  deadline_.cancel();
  rate_.stop();
  clean_ = clean && parser_.head().keep_alive && is_request_sent() && !has_surplus();
  handler_->on_end();
}

// Whether something follows the response that was not read: it would be taken for the next one.
bool UpstreamConnection::has_surplus() const {
  // What was read ahead counts before it is decrypted: the socket will not tell of it.
  if (ssl_) return SSL_has_pending(ssl_.get()) == 1;
  if (emptied_) return false;
  char byte;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK) >= 0;  // an end counts as well
}

void UpstreamConnection::fail(Error error) {
  using Retry = ResponseHandler::Retry;
  const bool never_answered =
      reused_ && parser_.untouched() && error.reason == Reason::bad_response;
  step_ = Step::broken;
  deadline_.cancel();
  rate_.stop();
  stop_reading();
  handler_->on_upstream_error(std::move(error),
                              never_answered ? Retry::on_fresh_connection : Retry::no);
}

void UpstreamConnection::on_deadline() {
  if (!is_receiving()) return;
  const bool body = step_ == Step::relaying_body;
  fail({body ? Reason::idle_timeout : Reason::first_byte_timeout, {}});
}

void UpstreamConnection::on_rate_window_end() {
  if (rate_.is_too_slow()) return fail({Reason::upstream_too_slow, {}});
  rate_.run();
}

// --- idle ---

void UpstreamConnection::check_idle() {
  // TLS may have something to say to itself: tickets, alerts.
  if (ssl_) {
    const ReadOutcome outcome = read_tls(1);
    if (outcome.size == 0 && outcome.end == ReadEnd::drained) return;
  }
  stop_reading();
  keeper_.on_idle_ended(*this);
}

// --- events ---

void UpstreamConnection::start_reading() {
  if (reading_) return;
  reading_ = true;
  CHECK(event_add(readable_.get(), nullptr) == 0);
}

void UpstreamConnection::stop_reading() {
  if (!reading_) return;
  reading_ = false;
  event_del(readable_.get());
}

void UpstreamConnection::run_later() { CHECK(event_add(later_.get(), &kAtOnce) == 0); }

// One wait at a time: for the head, then for each next piece of the body.
void UpstreamConnection::arm_deadline() {
  if (step_ != Step::relaying_body) return deadline_.arm(tools_.config.first_byte_timeout);
  deadline_.arm(tools_.config.idle_timeout);
  rate_.run();
}

}  // namespace streamgate
