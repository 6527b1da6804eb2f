#include "worker/exchange/exchange.h"

#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "worker/fetch/upstream_request.h"
#include "worker/http/own_response.h"
#include "worker/pages/health.h"

namespace streamgate {
namespace {

constexpr size_t kLongestLoggedRoute = 128;

std::string_view token_of(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::options:
      return "OPTIONS";
  }
  return "?";
}

// The statuses whose Location is another place of the same thing (RFC 9110 15.4).
bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

Exchange::Exchange(ExchangeEnvironment& environment, ClientGate& gate)
    : environment_(environment),
      gate_(&gate),
      client_head_(gate.stream().head()),
      method_(client_head_.method),
      route_(client_head_.target.substr(0, client_head_.target.find('?'))
                 .substr(0, kLongestLoggedRoute)),
      started_ms_(environment.wheel.now_ms()) {
  gate.stream().set_observer(*this);
  count(environment_.slot.counters, Counter::exchanges_started);
  count(environment_.slot.exchanges_now);
}

Exchange::~Exchange() { CHECK(step_ == Step::finished); }

void Exchange::start() {
  if (method_ == Method::options) return answer_options();
  switch (route_of(client_head_.target)) {
    case Route::stream:
      return admit();
    case Route::health:
      return answer_health();
    case Route::none:
      return fail({Reason::not_found, {}});
  }
}

void Exchange::answer_options() {
  answer(204,
         write_preflight_response(client_head_, gate_->may_keep_alive(), environment_.config.cors));
}

void Exchange::answer_health() {
  const HealthRequest request{client_head_, gate_->may_keep_alive(),
                              environment_.service_stopping.load(std::memory_order_relaxed)};
  const HealthResponse response = write_health_response(request, environment_.config.cors);
  answer(response.status, response.text);
}

void Exchange::answer(int status, const std::string& text) {
  send_own(status, text, gate_->may_keep_alive());
  finish({}, {}, End::complete);
}

void Exchange::send_own(int status, const std::string& text, bool keep_alive) {
  client_status_ = status;
  body_bytes_ = text.size() - (text.find("\r\n\r\n") + 4);
  gate_->stream().send_head(text, {ClientFraming::Kind::none, 0}, keep_alive);
}

void Exchange::admit() {
  auto request = parse_stream_request(client_head_.target);
  if (!request) return fail(request.error());
  request_.emplace(std::move(*request));
  url_ = std::move(request_->upstream);
  resolve();
}

void Exchange::resolve() {
  enter(Step::resolve);
  if (auto allowed = environment_.guard.check_name(url_); !allowed) {
    return fail(allowed.error());
  }
  const auto* known = environment_.resolver.resolve(url_.host, *this, lookup_);
  if (known != nullptr) on_resolved(*known);
}

void Exchange::on_resolved(const std::vector<IpAddress>& addresses) {
  lookup_.reset();
  addresses_.clear();
  for (const IpAddress& address : addresses) {
    const SocketAddress candidate(address, url_.port);
    // One forbidden address refuses the name: an answer that mixes them is an attempt to slip by.
    if (auto allowed = environment_.guard.check_address(url_, candidate); !allowed) {
      return fail(allowed.error());
    }
    addresses_.push_back(candidate);
  }
  connect(UpstreamPool::Freshness::reuse_allowed);
}

void Exchange::on_resolve_failed(Error error) {
  lookup_.reset();
  fail(error);
}

void Exchange::connect(UpstreamPool::Freshness freshness) {
  enter(Step::connect);
  UpstreamConnection* idle =
      environment_.pool.acquire(url_, addresses_, freshness, *this, attempt_);
  if (idle != nullptr) on_connected(*idle);
}

void Exchange::on_connected(UpstreamConnection& connection) {
  attempt_.reset();
  connection_ = &connection;
  send_request();
}

void Exchange::on_connect_failed(Error error) {
  attempt_.reset();
  resume_or_fail(error);
}

void Exchange::send_request() {
  enter(Step::send_request);
  ++attempts_;
  reused_connection_ = connection_->reused();
  UpstreamAttempt attempt{url_};
  attempt.method = method_;
  attempt.send_referer_and_origin = send_referer_;
  attempt.send_range = send_range_;
  attempt.cross_origin = cross_origin_;
  std::string range;
  if (resume_) {
    range = resume_->rest.range(relay_->taken());
    attempt.rest_range = range;
    attempt.rest_validator = resume_->rest.validator();
  }
  connection_->send_request(
      write_upstream_request(attempt, *request_, client_head_, environment_.config.upstream),
      method_, *this);
}

void Exchange::on_head(const ResponseHead& head) {
  head_ = &head;
  if (resume_) return continue_body(head);
  enter(Step::relay_head);
  upstream_status_ = head.status;
  if (is_redirect(head.status)) {
    if (const auto location = find_field(head.fields, "Location")) {
      return follow_redirect(*location);
    }
  }
  if (head.status == 403 && send_referer_ && names_itself()) return retry_without_referer();
  begin_body();
}

void Exchange::on_upstream_error(Error error, Retry retry) {
  if (retry == Retry::on_fresh_connection) {
    drop_connection(UpstreamPool::Reuse::no);
    return connect(UpstreamPool::Freshness::fresh_only);
  }
  resume_or_fail(error);
}

void Exchange::follow_redirect(std::string_view location) {
  if (++redirects_ > environment_.config.upstream.max_redirects) {
    return fail({Reason::too_many_redirects, url_.to_string()});
  }
  const std::string base = url_.to_string();
  std::string next;
  resolve_reference(split_uri(base), location, next);
  auto url = parse_http_url(next);
  if (!url) return fail({Reason::bad_response, "redirect to an unusable URL: " + next});
  drop_connection(UpstreamPool::Reuse::no);
  if (url->origin() != url_.origin()) cross_origin_ = true;
  url_ = std::move(*url);
  send_referer_ = true;
  resolve();
}

// Whether the requests of this exchange carry a Referer or an Origin at all.
bool Exchange::names_itself() const {
  const UpstreamConfig& config = environment_.config.upstream;
  return request_->referer || config.referer.kind != HeaderPolicy::Kind::none ||
         config.origin.kind != HeaderPolicy::Kind::none;
}

void Exchange::retry_without_referer() {
  drop_connection(UpstreamPool::Reuse::no);
  send_referer_ = false;
  connect(UpstreamPool::Freshness::reuse_allowed);
}

void Exchange::retry_without_range() {
  drop_connection(UpstreamPool::Reuse::no);
  send_range_ = false;
  connect(UpstreamPool::Freshness::reuse_allowed);
}

void Exchange::on_client_drained() {
  if (relay_ && relay_->holds_bytes()) {
    const auto flow = relay_->drain_pipe();
    if (flow != ClientStream::Flow::open) return take_flow(flow);
  }
  if (body_ended_) return finish({}, {}, End::complete);
  if (!unrewritten_.empty()) {
    rewrite(std::exchange(unrewritten_, {}));
    if (step_ == Step::finished || gate_->stream().is_full()) return;
  }
  if (connection_ != nullptr) connection_->resume(PauseReason::client_full);
}

void Exchange::on_client_gone(Reason reason) { finish(reason, {}, End::client_gone); }

// The one way out for everything that goes wrong.
void Exchange::fail(const Error& error) {
  if (client_status_ != 0) {  // a head has gone out: no status can be changed any more
    return finish(error.reason, error.detail, End::broken);
  }
  // An error says nothing about keeping the connection, and an HTTP/1.0 client takes that for a no.
  const bool keep_alive = gate_->may_keep_alive() && client_head_.minor_version >= 1;
  send_own(
      status_for(error.reason),
      write_error_response(error, method_ == Method::head, keep_alive, environment_.config.cors),
      keep_alive);
  finish(error.reason, error.detail, End::complete);
}

void Exchange::finish(std::optional<Reason> failure, std::string_view detail, End end) {
  CHECK(step_ != Step::finished);
  enter(Step::finished);
  lookup_.reset();
  attempt_.reset();
  if (resume_) resume_->backoff.cancel();
  relay_.reset();  // its pipe
  drop_connection(end == End::complete ? UpstreamPool::Reuse::allowed : UpstreamPool::Reuse::no);
  body_bytes_ += gate_->stream().body_bytes_sent();
  // Before the client's side ends: the head's bytes are the gate's.
  write_access_line(failure ? token_of(*failure) : "ok", detail);
  environment_.playlist_bodies.give_back(std::move(playlist_));
  Counters& counters = environment_.slot.counters;
  count(counters, Counter::bytes_to_clients, body_bytes_);
  if (failure) {
    count(counters, Counter::exchanges_failed);
    count(counters, failures_of(*failure));
  }
  count_down(environment_.slot.exchanges_now);
  ClientStream& client = gate_->stream();
  gate_ = nullptr;
  if (end == End::complete) client.finish();
  if (end == End::broken) client.abort();
  environment_.reaper.retire(environment_.exchanges.remove(*this));
}

void Exchange::drop_connection(UpstreamPool::Reuse reuse) {
  head_ = nullptr;
  if (UpstreamConnection* connection = std::exchange(connection_, nullptr)) {
    environment_.pool.give_back(*connection, reuse);
  }
}

void Exchange::write_access_line(std::string_view token, std::string_view detail) {
  AccessRecord record{gate_->stream().peer_text()};
  record.method = token_of(method_);
  record.route = route_;
  record.status = client_status_;
  record.reason = token;
  record.detail = detail;
  record.body_bytes = body_bytes_;
  record.duration_ms = environment_.wheel.now_ms() - started_ms_;
  std::string& upstream = environment_.url_scratch;
  upstream.clear();
  if (request_) url_.append_to(upstream);
  record.upstream = upstream;
  record.upstream_status = upstream_status_;
  record.attempts = attempts_;
  record.resumed = resume_ ? resume_->done : 0;
  record.reused_connection = reused_connection_;
  record.playlist = playlist_ != nullptr;
  environment_.access_log.write(record);
}

void Exchange::enter(Step step) {
  step_ = step;
  if (log::enabled(LogLevel::debug)) {
    log::debug("exchange.step", {{"step", name_of(step)}, {"client", gate_->stream().peer_text()}});
  }
}

std::string_view Exchange::name_of(Step step) {
  switch (step) {
    case Step::admit:
      return "admit";
    case Step::resolve:
      return "resolve";
    case Step::connect:
      return "connect";
    case Step::send_request:
      return "send_request";
    case Step::relay_head:
      return "relay_head";
    case Step::relay_body:
      return "relay_body";
    case Step::finished:
      return "finished";
  }
  return "?";
}

void Exchange::log_state() const {
  log::info("exchange.live", {{"client", gate_->stream().peer_text()},
                              {"step", name_of(step_)},
                              {"age_ms", environment_.wheel.now_ms() - started_ms_},
                              {"bytes", gate_->stream().body_bytes_sent()},
                              {"upstream", request_ ? log::redact(url_.to_string()) : ""}});
}

ExchangeList::ExchangeList() = default;
ExchangeList::~ExchangeList() = default;

Exchange& ExchangeList::add(std::unique_ptr<Exchange> exchange) {
  exchange->list_index_ = live_.size();
  return *live_.emplace_back(std::move(exchange));
}

std::unique_ptr<Retirable> ExchangeList::remove(Exchange& exchange) {
  const size_t index = exchange.list_index_;
  CHECK(index < live_.size() && live_[index].get() == &exchange);
  std::unique_ptr<Retirable> owned = std::move(live_[index]);
  if (index + 1 < live_.size()) {
    live_[index] = std::move(live_.back());
    live_[index]->list_index_ = index;
  }
  live_.pop_back();
  return owned;
}

void ExchangeList::log_all() const {
  for (const auto& exchange : live_) exchange->log_state();
}

}  // namespace streamgate
