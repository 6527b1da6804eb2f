#include "worker/fetch/fetch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/histogram.h"
#include "common/log.h"
#include "worker/fetch/fetch_trace.h"
#include "worker/fetch/upstream_request.h"
#include "worker/upstream/proxy_handshake.h"

namespace streamgate {
namespace {

// Statuses whose Location names another place of the same resource (RFC 9110 15.4).
bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

constexpr std::string_view kFirstByte = "bytes=0-0";

// Whether the origin itself cannot be reached, for any request.
bool is_unreachable(Reason reason) {
  switch (reason) {
    case Reason::dns_failed:
    case Reason::dns_timeout:
    case Reason::connect_failed:
    case Reason::connect_timeout:
    case Reason::tls_failed:
      return true;
    default:
      return false;
  }
}

// Whether the failure may be that of a proxy, which says nothing about the origin.
bool may_be_at_proxy(Reason reason) {
  return reason == Reason::connect_failed || reason == Reason::connect_timeout;
}

bool is_failover_status(int status, const UpstreamConfig& config) {
  return std::any_of(config.failover_statuses.begin(), config.failover_statuses.end(),
                     [status](const StatusRange& range) { return range.contains(status); });
}

}  // namespace

std::string_view name_of(Fetch::Step step) {
  switch (step) {
    case Fetch::Step::resolve:
      return "resolve";
    case Fetch::Step::connect:
      return "connect";
    case Fetch::Step::await_head:
      return "await_head";
    case Fetch::Step::read_body:
      return "read_body";
    case Fetch::Step::finished:
      return "finished";
  }
  return "?";
}

Fetch::Fetch(FetchEnvironment& environment, FetchRequest&& request, Observer& observer)
    : environment_(environment), request_(std::move(request)), observer_(&observer) {}

Fetch::~Fetch() { stop(); }

void Fetch::start() {
  if (!request_.cdn_loop.empty()) {
    auto marked = environment_.loop_mark.append_to(request_.cdn_loop);
    if (!marked) return fail(marked.error());
    request_.cdn_loop = *std::move(marked);
  }
  if (!request_.cookies.empty()) {
    cookies_ = std::make_unique<Cookies>(Cookies::from_link(request_.cookies, ::time(nullptr)));
  }
  if (request_.may_reconnect) first_url_ = std::make_unique<UpstreamUrl>(UpstreamUrl{request_.url});
  if (request_.alternatives.empty()) return resolve();
  if (auto allowed = begin_failover(); !allowed) return fail(allowed.error());
  ask(failover_->current());
}

std::string Fetch::cookies_for_children() {
  take_cookies();
  return cookies_ ? cookies_->to_link(::time(nullptr)) : std::string();
}

void Fetch::relay_into(Sink& sink) {
  sink_ = &sink;
  connection_->relay_into(sink);
}

void Fetch::reconnect_at_end() {
  CHECK(request_.may_reconnect && sink_ != nullptr && head_ != nullptr);
  live_ = std::make_unique<LiveBody>(*this);
}

void Fetch::retry_without_range() {
  take_cookies();
  release(UpstreamPool::Reuse::no);
  send_range_ = false;
  connect(UpstreamPool::Freshness::reuse_allowed);
}

void Fetch::pause() {
  if (connection_ != nullptr) connection_->pause();
}

void Fetch::go_on() {
  if (connection_ != nullptr) connection_->resume();
}

void Fetch::stop() {
  if (step_ != Step::finished) enter(Step::finished);
  lookup_.reset();
  attempt_.reset();
  if (truncated_) truncated_->backoff.cancel();
  if (live_) live_->wait.cancel();
  release(UpstreamPool::Reuse::allowed);
}

Result<void> Fetch::check_name(const HttpUrl& url) const {
  if (request_.allow != nullptr && !request_.allow->empty()) {
    const auto literal = IpAddress::parse(url.host);
    const bool is_allowed = std::any_of(
        request_.allow->begin(), request_.allow->end(), [&](const TargetPattern& pattern) {
          return (pattern.matches_host(url.host, url.port) ||
                  (literal && pattern.matches_address(*literal, url.port))) &&
                 pattern.matches_path(url.path());
        });
    if (!is_allowed) return Error{Reason::token_scope, "not a host of the key"};
  }
  return environment_.guard.check_name(url);
}

// --- resolve ---

void Fetch::resolve() {
  enter(Step::resolve);
  HostTable& hosts = request_.hosts != nullptr ? *request_.hosts : environment_.hosts;
  settings_ = &hosts.of(request_.url);
  if (request_.trace != nullptr) request_.trace->on_url(request_.url);
  if (auto allowed = check_name(request_.url); !allowed) {
    return give_up_url(allowed.error());
  }
  if (settings_->resolves_remotely() && !request_.url.host_is_address()) return connect_by_name();
  const auto* known = environment_.resolver.resolve(request_.url.host, *this, lookup_);
  if (known != nullptr) return on_resolved(*known);
  count(environment_.counters, Counter::upstream_names_looked_up);
}

// The proxy resolves the name, so only the name can be checked.
void Fetch::connect_by_name() {
  if (auto allowed = environment_.guard.check_unresolved_name(request_.url); !allowed) {
    return give_up_url(allowed.error());
  }
  addresses_.clear();
  connect(UpstreamPool::Freshness::reuse_allowed);
}

void Fetch::on_resolved(const ResolvedName& name) {
  const RequestScope scope(note_);
  lookup_.reset();
  if (request_.trace != nullptr) request_.trace->on_addresses(name);
  if (!name.full_name.empty()) {
    auto allowed = environment_.guard.check_full_name(request_.url, name.full_name);
    if (!allowed) return give_up_url(allowed.error());
  }
  addresses_.clear();
  for (const IpAddress& address : name.addresses) {
    const SocketAddress candidate(address, request_.url.port);
    // If one address is forbidden, the name is refused: a DNS answer that mixes public and private
    // addresses is an attempt to bypass the guard.
    if (auto allowed = environment_.guard.check_address(request_.url, candidate); !allowed) {
      return give_up_url(allowed.error());
    }
    addresses_.push_back(candidate);
  }
  connect(UpstreamPool::Freshness::reuse_allowed);
}

void Fetch::on_resolve_failed(Error error) {
  const RequestScope scope(note_);
  lookup_.reset();
  recover_or_fail(error);
}

std::optional<IpAddress> Fetch::client() const { return observer_->client_of_names(); }

// --- connect ---

void Fetch::connect(UpstreamPool::Freshness freshness) {
  enter(Step::connect);
  if (request_.trace != nullptr) freshness = UpstreamPool::Freshness::fresh_only;
  UpstreamConnection* idle = environment_.pool.acquire(
      {request_.url, *settings_, addresses_, request_.trace}, freshness, *this, attempt_);
  if (idle != nullptr) return on_connected(*idle);
  connect_began_ms_ = environment_.wheel.now_ms();
}

void Fetch::on_connected(UpstreamConnection& connection) {
  const RequestScope scope(note_);
  if (attempt_ != nullptr) {
    observe(environment_.counters, Histogram::connect,
            environment_.wheel.now_ms() - connect_began_ms_);
  }
  attempt_.reset();
  connection_ = &connection;
  send_request();
}

void Fetch::on_connect_failed(Error error) {
  const RequestScope scope(note_);
  attempt_.reset();
  recover_or_fail(error);
}

// --- await_head ---

void Fetch::send_request() {
  enter(Step::await_head);
  ++attempts_;
  if (request_.trace != nullptr) request_.trace->on_request();
  reused_connection_ = connection_->reused();
  asked_ms_ = environment_.wheel.now_ms();
  UpstreamAttempt attempt{request_.url};
  attempt.send_referer_and_origin = send_referer_ && (!is_as_player() || request_.referer);
  attempt.player_agent = request_.player_agent;
  attempt.send_range = send_range_;
  attempt.cross_origin = left_origin_;
  attempt.send_conditions = !live_;
  const std::string digest = digest_ ? next_digest() : std::string();
  attempt.authorization = digest.empty() ? authorization_ : digest;
  attempt.cdn_loop = request_.cdn_loop.empty() ? environment_.loop_mark.own() : request_.cdn_loop;
  std::string cookies;
  if (cookies_) attempt.cookies = cookies = cookies_->for_request(request_.url, ::time(nullptr));
  std::string range;
  if (truncated_) {
    range = truncated_->wanted.range(sink_->taken());
    attempt.our_range = range;
    attempt.our_if_range = truncated_->wanted.validator();
  }
  if (asks_first_byte_) {
    attempt.our_range = kFirstByte;
    attempt.get_instead_of_head = true;
  }
  if (request_.is_blocking) connection_->expect_held_response();
  connection_->send_request(write_upstream_request(attempt, request_, *settings_),
                            asks_first_byte_ ? Method::get : request_.method, *this);
}

void Fetch::on_head(const ResponseHead& head) {
  head_ = &head;
  if (request_.trace != nullptr) request_.trace->on_response(head);
  if (head.status == 407 && settings_->sends_absolute_form(request_.url)) {
    const ProxyAddress& proxy = settings_->config.proxy;
    const std::string problem(problem_of_credentials(proxy));
    return recover_or_fail({Reason::proxy_failed, proxy.for_log() + ": " + problem});
  }
  if (truncated_) return continue_body(head);
  upstream_status_ = head.status;
  if (is_redirect(head.status)) {
    // An empty Location counts as no Location, as in browsers.
    const std::string_view location = field_or_empty(head.fields, "Location");
    if (!location.empty()) return follow_redirect(location);
  }
  if (retry_refused(head)) return;
  if (may_ask_before_bar(head.status)) return ask({*request_.before_bar});
  const bool is_failure = failover_ && is_failover_status(head.status, environment_.config);
  if (is_failure && ask_next_url()) return;
  if (live_) return continue_live_body(head);
  if (failover_ && !is_failure) failover_->on_answer();
  if (asks_first_byte_) return answer_head(head);
  enter(Step::read_body);
  observer_->on_head(head);
}

// Takes the cookies of the current head, for the next hops.
void Fetch::take_cookies() {
  if (!find_field(head_->fields, "Set-Cookie")) return;
  if (!cookies_) cookies_ = std::make_unique<Cookies>();
  cookies_->take(head_->fields, request_.url, ::time(nullptr));
}

void Fetch::follow_redirect(std::string_view location) {
  if (++redirects_ > environment_.config.max_redirects) {
    return give_up_url(
        {Reason::too_many_redirects, "the last one from " + request_.url.to_string()});
  }
  take_cookies();
  auto next = environment_.resolve_location(request_.url, location);
  if (!next) {
    return give_up_url(
        {Reason::bad_response, "redirect to an unusable URL: " + std::string(location)});
  }
  observer_->on_redirect(*head_);
  release(UpstreamPool::Reuse::no);
  if (!first_url_) {
    first_url_ = std::make_unique<UpstreamUrl>(UpstreamUrl{request_.url, authorization_});
  }
  const bool leaves_origin = next->url.origin() != request_.url.origin();
  if (leaves_origin) left_origin_ = true;
  if (leaves_origin || !next->authorization.empty()) digest_.reset();
  if (leaves_origin || !next->authorization.empty()) authorization_ = next->authorization;
  request_.url = std::move(next->url);
  send_referer_ = true;
  resolve();
}

// --- read_body ---

void Fetch::on_body(std::string_view bytes) { observer_->on_body(bytes); }

void Fetch::on_read_done() { observer_->on_read_done(); }

void Fetch::on_end() {
  if (live_) return reconnect_or_end(std::nullopt);
  observer_->on_end();
  // The observer may have stopped the fetch, or started it again without a range.
  if (step_ != Step::read_body) return;
  if (live_) return reconnect_or_end(std::nullopt);
  stop();
}

void Fetch::on_upstream_error(Error error, Retry retry) {
  if (retry == Retry::on_fresh_connection) {
    release(UpstreamPool::Reuse::no);
    return connect(UpstreamPool::Freshness::fresh_only);
  }
  const bool has_no_head = step_ == Step::await_head && error.reason == Reason::bad_response;
  if (has_no_head && may_ask_instead_of_head()) return ask_instead_of_head();
  recover_or_fail(error);
}

// A failure of the current attempt, before or inside the body.
void Fetch::recover_or_fail(const Error& error) {
  const bool is_proxy_s = settings_->uses_proxy() && may_be_at_proxy(error.reason);
  if (is_unreachable(error.reason) && !is_proxy_s) environment_.marks.set_down(request_.url);
  if (step_ != Step::read_body && !truncated_ && ask_next_url()) return;
  if (live_) return reconnect_or_end(error);
  request_missing_bytes_or_fail(error);
}

// --- the end ---

// A redirect of this URL cannot be followed; another URL of the link may still answer. If a URL of
// the link is refused, and after a loop, the fetch ends.
void Fetch::give_up_url(const Error& error) {
  const Error last = error;
  if (redirects_ > 0 && error.reason != Reason::loop && ask_next_url()) return;
  fail(last);
}

void Fetch::fail(const Error& error) {
  if (is_reconnecting()) return end_live_body();
  Error last = error;  // a copy: stop() may free the owner of `error`
  if (redirects_ > 0 && step_ != Step::read_body && !truncated_) say_which_redirect(last);
  stop();
  observer_->on_failed(last);
}

// The place of the failed URL in the chain. Every client may know the number of redirects, but not
// where they lead.
void Fetch::say_which_redirect(Error& error) const {
  if (error.reason == Reason::too_many_redirects) {
    error.client_detail = "more than " + std::to_string(redirects_ - 1) + " redirects";
    return;
  }
  const std::string place = "redirect " + std::to_string(redirects_);
  // While the redirecting answer is there, its Location could not be used.
  const std::string where = head_ != nullptr ? "" : " to " + request_.url.origin();
  error.detail = place + where + (error.detail.empty() ? " failed" : ": " + error.detail);
  error.client_detail =
      place + (error.client_detail.empty() ? " failed" : ": " + error.client_detail);
}

void Fetch::release(UpstreamPool::Reuse reuse) {
  head_ = nullptr;
  if (UpstreamConnection* connection = std::exchange(connection_, nullptr)) {
    environment_.pool.give_back(*connection, reuse);
  }
}

void Fetch::enter(Step step) {
  step_ = step;
  static constexpr std::array kTexts{step_text("resolve"), step_text("connect"),
                                     step_text("await_head"), step_text("read_body"),
                                     step_text("finished")};  // in the order of Step
  note_step(kTexts[static_cast<size_t>(step)]);
  if (log::enabled(LogLevel::debug)) {
    log::debug("fetch.step", {{"step", name_of(step)}, {"origin", request_.url.origin()}});
  }
}

}  // namespace streamgate
