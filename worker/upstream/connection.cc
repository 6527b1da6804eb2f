#include "worker/upstream/connection.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// The first read of a response, and every read of a body that is rewritten: most answers are small.
constexpr size_t kSmallReadBytes = size_t{64} * 1024;
// One connection reads at most this much before the other connections are served.
constexpr size_t kMaxBytesPerWake = size_t{1024} * 1024;
constexpr timeval kAtOnce{0, 0};

}  // namespace

UpstreamConnection::UpstreamConnection(const Tools& tools, Keeper& keeper, UpstreamSocket socket)
    : tools_(tools),
      keeper_(keeper),
      socket_(std::move(socket)),
      readable_(event_new(tools.base, socket_.fd(), EV_READ | EV_PERSIST,
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
  step_ = Step::on_loan;
  reused_ = served_;
  is_held_ = false;
  ++loan_;
}

void UpstreamConnection::end_loan() {
  CHECK(is_on_loan());
  ++loan_;
  step_ = Step::idle;
  observer_ = nullptr;
  note_ = nullptr;
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
  observer_ = nullptr;
  note_ = nullptr;
  sink_ = nullptr;
  deadline_.cancel();
  rate_.reset();
  stop_reading();
  event_del(later_.get());
  if (writable_) event_del(writable_.get());
  socket_.close(polite ? TlsGoodbye::polite : TlsGoodbye::abrupt);
}

// --- the request ---

void UpstreamConnection::send_request(std::string request, Method method, Observer& observer) {
  CHECK(step_ == Step::on_loan);
  step_ = Step::awaiting_head;
  observer_ = &observer;
  note_ = current_note();
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
    const auto written = socket_.write(std::string_view(request_).substr(sent_));
    sent_ += written.bytes;
    if (written.bytes > 0) continue;
    if (!written.is_broken) return wait_to_write();
    // The upstream has closed. It may have sent a response first, so read before failing.
    if (writable_) event_del(writable_.get());
    return run_later();
  }
  std::string().swap(request_);  // frees the memory before the body is relayed
  sent_ = 0;
  if (!writable_) return;
  event_del(writable_.get());
  if (step_ == Step::awaiting_head && !paused_) arm_deadline();
}

void UpstreamConnection::wait_to_write() {
  if (!writable_) {
    writable_.reset(event_new(tools_.base, socket_.fd(), EV_WRITE | EV_PERSIST,
                              callback<&UpstreamConnection::on_writable>, this));
    CHECK(writable_);
  }
  CHECK(event_add(writable_.get(), nullptr) == 0);
}

// --- back-pressure ---

void UpstreamConnection::relay_into(BodySink& sink) {
  sink_ = &sink;
  window_.begin_body(socket_.fd(), parser_.raw_body_left(), tools_.wheel.now_ms());
}

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
  if (holding_ || pending_end_ || socket_.has_buffered()) run_later();
}

// --- the response ---

bool UpstreamConnection::is_receiving() const {
  return step_ == Step::awaiting_head || step_ == Step::relaying_body;
}

void UpstreamConnection::on_readable() {
  if (step_ == Step::idle) return check_idle();
  const RequestScope scope(note_);
  if (is_receiving() && !paused_) return receive();
  // Nothing may be read now, and the level-triggered event would fire again and again.
  stop_reading();
  // Bytes or an end have followed the response. With TLS the bytes may be a ticket, so check_idle()
  // reads them later.
  if (step_ == Step::complete && !socket_.is_tls()) clean_ = false;
}

void UpstreamConnection::on_writable() {
  if (!is_receiving() || is_request_sent()) {
    event_del(writable_.get());
    return;
  }
  flush_request();
}

void UpstreamConnection::on_later() {
  const RequestScope scope(note_);
  if (is_receiving() && !paused_) receive();
}

void UpstreamConnection::receive() {
  if (feed_held() == GoOn::no) return;
  if (pending_end_) return handle_end(*pending_end_);
  size_t left = kMaxBytesPerWake;
  while (left > 0) {
    const uint64_t loan = loan_;
    const size_t most = std::min(bytes_to_read(), left);
    if (loan_ != loan || most == 0) return;
    const auto received = receive_body(most);
    if (!received) return;
    left -= std::min(left, *received);
  }
  if (socket_.has_buffered()) run_later();
}

// 0: the sink has no room now.
size_t UpstreamConnection::bytes_to_read() {
  if (sink_ == nullptr) return tools_.socket_memory.limit(kSmallReadBytes);
  return socket_.prepare_read(sink_->room());
}

// Returns as receive_some() does.
std::optional<size_t> UpstreamConnection::receive_body(size_t most) {
  if (Pipe* pipe = pipe_for_body()) return receive_into(*pipe, most);
  const uint64_t body_left = sink_ == nullptr ? 0 : parser_.raw_body_left();
  const std::span<char> memory = body_left == 0 ? std::span<char>() : sink_->memory();
  if (memory.empty()) return receive_some(most);
  return receive_into(memory.first(std::min<uint64_t>({memory.size(), most, body_left})));
}

Pipe* UpstreamConnection::pipe_for_body() {
  if (sink_ == nullptr || !socket_.can_splice()) return nullptr;
  const uint64_t body_left = parser_.raw_body_left();
  return body_left == 0 ? nullptr : sink_->borrow_pipe(body_left);
}

void UpstreamConnection::count_received(size_t bytes) {
  count(tools_.counters, Counter::bytes_from_upstreams, bytes);
  if (step_ != Step::relaying_body) return;
  window_.received(socket_.fd(), bytes, tools_.wheel.now_ms());
  rate_.add(bytes);
  arm_deadline();
}

// Reads into the scratch buffer. Returns the number of bytes, or nullopt to stop reading for now.
std::optional<size_t> UpstreamConnection::receive_some(size_t most) {
  const auto outcome = socket_.read(tools_.scratch, std::min(most, tools_.scratch.size()));
  const bool is_end = outcome.end != ReadEnd::full && outcome.end != ReadEnd::drained;
  if (outcome.bytes > 0) {
    count_received(outcome.bytes);
    if (is_end) pending_end_ = outcome.end;
    if (feed({tools_.scratch.data(), outcome.bytes}) == GoOn::no) return std::nullopt;
  }
  if (is_end) handle_end(outcome.end);
  if (outcome.end != ReadEnd::full) return std::nullopt;
  return outcome.bytes;
}

// Moves bytes into the pipe, past the parser. Returns as receive_some() does.
std::optional<size_t> UpstreamConnection::receive_into(Pipe& pipe, size_t most) {
  const uint64_t body_left = parser_.raw_body_left();
  const auto outcome =
      socket_.splice_into(pipe, static_cast<size_t>(std::min<uint64_t>(most, body_left)));
  if (outcome.bytes == 0) {
    if (outcome.end != ReadEnd::drained) handle_end(outcome.end);
    return std::nullopt;
  }
  count_received(outcome.bytes);
  count(tools_.counters, Counter::bytes_spliced, outcome.bytes);
  parser_.skip_body(outcome.bytes);
  const uint64_t loan = loan_;
  sink_->on_piped();
  if (loan_ != loan) return std::nullopt;
  if (outcome.bytes == body_left) {
    complete(true);
    return std::nullopt;
  }
  if (paused_) return std::nullopt;
  return outcome.bytes;
}

// Reads the body into the memory of the sink, past the parser. Returns as receive_some() does.
std::optional<size_t> UpstreamConnection::receive_into(std::span<char> memory) {
  const auto outcome = socket_.read(memory, memory.size());
  const bool is_end = outcome.end != ReadEnd::full && outcome.end != ReadEnd::drained;
  if (outcome.bytes > 0) {
    count_received(outcome.bytes);
    if (is_end) pending_end_ = outcome.end;
    const bool is_last = outcome.bytes == parser_.raw_body_left();
    parser_.skip_body(outcome.bytes);
    sink_->on_stored(outcome.bytes);
    if (is_last) {
      complete(!is_end);
      return std::nullopt;
    }
    const uint64_t loan = loan_;
    observer_->on_read_done();
    if (loan_ != loan || paused_) return std::nullopt;
  }
  if (is_end) handle_end(outcome.end);
  if (outcome.end != ReadEnd::full) return std::nullopt;
  return outcome.bytes;
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
      observer_->on_read_done();
      return loan_ == loan && !paused_ ? GoOn::yes : GoOn::no;
    }
    if (hand_on(*item, bytes) == GoOn::no || loan_ != loan) return GoOn::no;
  }
  hold(bytes);
  observer_->on_read_done();
  return GoOn::no;
}

// The caller checks whether the loan has ended.
UpstreamConnection::GoOn UpstreamConnection::hand_on(const ResponseParser::Item& item,
                                                     std::string_view rest) {
  switch (item.kind) {
    case ResponseParser::ItemKind::head:
      step_ = Step::relaying_body;
      arm_deadline();
      observer_->on_head(parser_.head());
      return GoOn::yes;
    case ResponseParser::ItemKind::body:
      observer_->on_body(item.body);
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
  // Moved out first: the observer may end the loan, or pause again, which fills held_ again.
  const std::string bytes = std::exchange(held_, {});
  return feed(bytes);
}

void UpstreamConnection::handle_end(ReadEnd end) {
  const bool head_is_complete = step_ == Step::relaying_body;
  const Reason reason = head_is_complete ? Reason::truncated_body : Reason::bad_response;
  if (end == ReadEnd::failed) return fail({reason, "the connection broke"});
  // Many servers end such a body without close_notify. Browsers, curl and nginx accept it as
  // complete, although RFC 9112 9.8 allows a client to reject it.
  const bool by_close =
      head_is_complete && parser_.raw_body_left() == std::numeric_limits<uint64_t>::max();
  if (end == ReadEnd::truncated && by_close) {
    count(tools_.counters, Counter::tls_ends_without_notify);
  }
  const auto item = parser_.finish();
  if (!item) return fail(item.error());
  complete(false);
}

// `clean`: no bytes were read after the response.
void UpstreamConnection::complete(bool clean) {
  step_ = Step::complete;
  deadline_.cancel();
  rate_.stop();
  clean_ = clean && parser_.head().keep_alive && is_request_sent() && !socket_.has_unread();
  observer_->on_end();
}

void UpstreamConnection::fail(Error error) {
  using Retry = Observer::Retry;
  const bool never_answered =
      reused_ && parser_.untouched() && error.reason == Reason::bad_response;
  step_ = Step::broken;
  deadline_.cancel();
  rate_.stop();
  stop_reading();
  observer_->on_upstream_error(std::move(error),
                               never_answered ? Retry::on_fresh_connection : Retry::no);
}

void UpstreamConnection::on_deadline() {
  if (!is_receiving()) return;
  const RequestScope scope(note_);
  const bool body = step_ == Step::relaying_body;
  fail({body ? Reason::idle_timeout : Reason::first_byte_timeout, {}});
}

void UpstreamConnection::on_rate_window_end() {
  const RequestScope scope(note_);
  if (rate_.is_too_slow()) return fail({Reason::upstream_too_slow, {}});
  rate_.run();
}

// --- idle ---

bool UpstreamConnection::can_be_lent() {
  CHECK(step_ == Step::idle);
  return socket_.is_quiet();
}

void UpstreamConnection::check_idle() {
  if (can_be_lent()) return;
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

// One timeout at a time: for the head, then for each next read of the body.
void UpstreamConnection::arm_deadline() {
  if (step_ != Step::relaying_body) {
    return deadline_.arm(is_held_ ? tools_.config.blocking_timeout
                                  : tools_.config.first_byte_timeout);
  }
  deadline_.arm(tools_.config.idle_timeout);
  rate_.run();
}

}  // namespace streamgate
