// The part of Fetch that continues after a body has ended too early: the missing bytes of a
// truncated body, and the next body of a live stream.
#include <chrono>
#include <string>
#include <utility>

#include "worker/fetch/fetch.h"

namespace streamgate {
namespace {

// Delay before the next attempt if the last attempt received no byte. Multiplied by the number of
// attempts.
constexpr std::chrono::milliseconds kResumeBackoff{500};

}  // namespace

// --- the missing bytes of a truncated body ---

Fetch::TruncatedBody::TruncatedBody(Fetch& fetch, Resumption what, Error why)
    : wanted(std::move(what)),
      cause(std::move(why)),
      backoff(fetch.environment_.wheel, &fetch, [](void* self) {
        auto& owner = *static_cast<Fetch*>(self);
        const RequestScope scope(owner.note_);
        owner.connect(UpstreamPool::Freshness::fresh_only);
      }) {}

void Fetch::request_missing_bytes_or_fail(const Error& error) {
  if (sink_ == nullptr) return fail(error);
  // Lets the observer send the bytes that arrived before the truncation.
  observer_->on_read_done();
  if (step_ == Step::finished) return;
  if (!truncated_) {
    auto wanted = Resumption::of(*head_, environment_.config.resume_unverified
                                             ? Resumption::Unverified::accepted
                                             : Resumption::Unverified::rejected);
    if (!wanted) return fail(error);
    truncated_ = std::make_unique<TruncatedBody>(*this, std::move(*wanted), error);
  }
  if (may_request_missing_bytes()) return request_missing_bytes();
  const Error& cause = truncated_->cause;
  if (truncated_->tried == 0) return fail(cause);
  std::string detail = cause.detail + "; not resumed: " + std::string(token_of(error.reason));
  if (!error.detail.empty()) detail += ", " + error.detail;
  fail({cause.reason, std::move(detail)});
}

bool Fetch::may_request_missing_bytes() const {
  return truncated_->tried < environment_.config.resume_attempts &&
         !truncated_->wanted.is_complete(sink_->taken());
}

void Fetch::request_missing_bytes() {
  if (head_ != nullptr) take_cookies();
  release(UpstreamPool::Reuse::no);
  enter(Step::connect);
  count(environment_.counters, Counter::resumes_tried);
  const bool has_moved = std::exchange(truncated_->taken, sink_->taken()) != sink_->taken();
  if (truncated_->tried++ == 0 || has_moved) return connect(UpstreamPool::Freshness::fresh_only);
  truncated_->backoff.arm(kResumeBackoff * truncated_->tried);
}

void Fetch::continue_body(const ResponseHead& head) {
  // A server error may be temporary, so it is retried. Any other answer that does not have the
  // missing bytes is final.
  if (head.status >= 500) {
    return request_missing_bytes_or_fail(
        {Reason::bad_response, "status " + std::to_string(head.status)});
  }
  if (auto checked = truncated_->wanted.check(head, sink_->taken()); !checked) {
    return fail(checked.error());
  }
  count(environment_.counters, Counter::resumes_done);
  ++truncated_->resumed;
  enter(Step::read_body);
  connection_->relay_into(*sink_);
}

// --- the next body of a live stream ---

Fetch::LiveBody::LiveBody(Fetch& fetch)
    : rule(*fetch.head_, fetch.environment_.config.reconnect_attempts,
           fetch.environment_.wheel.now_ms()),
      wait(fetch.environment_.wheel, &fetch, [](void* self) {
        auto& owner = *static_cast<Fetch*>(self);
        const RequestScope scope(owner.note_);
        owner.reconnect();
      }) {}

// After the end of a body or a failed attempt. No error: the body ended in order.
void Fetch::reconnect_or_end(const std::optional<Error>& error) {
  if (!live_->is_between) {
    live_->is_between = true;
    live_->cause = error;
    if (head_ != nullptr) take_cookies();
    observer_->on_read_done();
    if (step_ == Step::finished) return;
  }
  release(error ? UpstreamPool::Reuse::no : UpstreamPool::Reuse::allowed);
  const auto delay = live_->rule.next_delay(environment_.wheel.now_ms());
  if (!delay) return end_live_body();
  enter(Step::resolve);
  live_->wait.arm(*delay);
}

void Fetch::reconnect() {
  count(environment_.counters, Counter::upstream_reconnects);
  if (failover_) failover_->begin_round();
  ask(failover_ ? failover_->current() : *first_url_);
}

void Fetch::continue_live_body(const ResponseHead& head) {
  if (head.status >= 500) {
    return reconnect_or_end(Error{Reason::bad_response, "status " + std::to_string(head.status)});
  }
  if (!live_->rule.is_continued_by(head)) return end_live_body();
  if (failover_) failover_->on_answer();
  live_->is_between = false;
  live_->rule.body_begins(environment_.wheel.now_ms());
  ++live_->discontinuities;
  enter(Step::read_body);
  observer_->on_next_body();
  if (step_ == Step::read_body) connection_->relay_into(*sink_);
}

// Ends in the way in which the last body ended.
void Fetch::end_live_body() {
  const std::optional<Error> cause = live_->cause;
  stop();
  cause ? observer_->on_failed(*cause) : observer_->on_end();
}

}  // namespace streamgate
