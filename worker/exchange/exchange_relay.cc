// The part of Exchange in which a body goes through unchanged: as the client takes it, and from
// another connection when the first one breaks in the middle.
#include <utility>

#include "worker/exchange/exchange.h"

namespace streamgate {
namespace {

// Before an upstream that gave nothing at the last attempt is asked again; times the attempts.
constexpr std::chrono::milliseconds kResumeBackoff{500};

}  // namespace

void Exchange::start_relaying() {
  body_mode_ = BodyMode::relay;
  relay_.emplace(gate_->stream(), environment_.pipes);
  connection_->relay_into(*this);
  if (head_->framing == Framing::length) {
    return send_relayed_head({ClientFraming::Kind::length, head_->content_length}, false);
  }
  send_relayed_head(framing_for_unknown_length(), false);
}

size_t Exchange::room() {
  const size_t room = relay_->room();
  if (room == 0) connection_->pause(PauseReason::client_full);
  return room;
}

Pipe* Exchange::lend_pipe(uint64_t left) { return relay_->lend_pipe(left); }

void Exchange::on_piped() { take_flow(relay_->take_pipe()); }

void Exchange::take_flow(ClientStream::Flow flow) {
  if (flow == ClientStream::Flow::gone) return finish(Reason::client_gone, {}, End::broken);
  if (flow == ClientStream::Flow::full && connection_ != nullptr) {
    connection_->pause(PauseReason::client_full);
  }
}

void Exchange::end_relaying() {
  take_flow(relay_->flush());
  if (step_ == Step::finished) return;
  if (!relay_->holds_bytes()) return finish({}, {}, End::complete);
  body_ended_ = true;  // on_client_drained() does the rest
  drop_connection(UpstreamPool::Reuse::allowed);
}

// --- the rest of a body that was cut ---

Exchange::Resume::Resume(Exchange& exchange, Resumption what, Error why)
    : rest(std::move(what)),
      cause(std::move(why)),
      backoff(exchange.environment_.wheel, &exchange, [](void* self) {
        static_cast<Exchange*>(self)->connect(UpstreamPool::Freshness::fresh_only);
      }) {}

void Exchange::resume_or_fail(const Error& error) {
  // What came before the fault is the client's.
  if (relay_) take_flow(relay_->flush());
  if (step_ == Step::finished) return;
  if (relay_ && !resume_) {
    if (auto rest = Resumption::of(*head_)) {
      resume_ = std::make_unique<Resume>(*this, std::move(*rest), error);
    }
  }
  if (!resume_) return fail(error);
  if (may_resume()) return resume();
  const Error& cause = resume_->cause;
  if (resume_->tried == 0) return fail(cause);
  std::string detail = cause.detail + "; not resumed: " + std::string(token_of(error.reason));
  if (!error.detail.empty()) detail += ", " + error.detail;
  fail({cause.reason, std::move(detail)});
}

bool Exchange::may_resume() const {
  return resume_->tried < environment_.config.upstream.resume_attempts &&
         !resume_->rest.is_complete(relay_->taken());
}

void Exchange::resume() {
  drop_connection(UpstreamPool::Reuse::no);
  enter(Step::connect);
  count(environment_.slot.counters, Counter::resumes_tried);
  const bool has_moved = std::exchange(resume_->taken, relay_->taken()) != relay_->taken();
  if (resume_->tried++ == 0 || has_moved) return connect(UpstreamPool::Freshness::fresh_only);
  resume_->backoff.arm(kResumeBackoff * resume_->tried);
}

void Exchange::continue_body(const ResponseHead& head) {
  // It may have recovered by the next attempt. Whatever else is not the rest will not become it.
  if (head.status >= 500) {
    return resume_or_fail({Reason::bad_response, "status " + std::to_string(head.status)});
  }
  if (auto is_rest = resume_->rest.check(head, relay_->taken()); !is_rest) {
    return fail(is_rest.error());
  }
  count(environment_.slot.counters, Counter::resumes_done);
  ++resume_->done;
  enter(Step::relay_body);
  connection_->relay_into(*this);
}

}  // namespace streamgate
