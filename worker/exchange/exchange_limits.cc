// The part of Exchange that asks StreamLimits for a place, and waits: for bandwidth, or to be
// refused.
#include <utility>

#include "worker/exchange/exchange.h"

namespace streamgate {

Result<void> Exchange::check_limits() {
  if (!environment_.limits.is_in_use()) return {};
  return environment_.limits.check_request(gate_->stream().client());
}

Result<void> Exchange::count_stream() {
  if (!environment_.limits.is_in_use()) return {};
  auto place = environment_.limits.admit(gate_->stream().client(), access_.get());
  if (!place) return std::move(place).error();
  place_ = *std::move(place);
  if (place_) place_->meter().set_observer(*this);
  return {};
}

// Many refusals have to wait. A request that waits is no stream.
void Exchange::refuse(const Error& error) {
  if (environment_.refusals.may_answer_now()) return fail(error);
  const auto on_turn = [](void* self, PacedRefusals::Ending ending) {
    static_cast<Exchange*>(self)->on_refusal_turn(ending);
  };
  refusal_ = std::make_unique<Refusal>(error, environment_.refusals, *this, on_turn);
  refusal_->turn.wait();
  gate_->pause_reading();
  count_down(environment_.slot.exchanges_now);
}

void Exchange::on_refusal_turn(PacedRefusals::Ending ending) {
  const RequestScope scope(&note_);
  if (ending == PacedRefusals::Ending::in_turn) return fail(refusal_->error);
  ClientGate& gate = *gate_;
  gate.drain(std::chrono::milliseconds::zero());  // the answer says that the connection ends
  fail(refusal_->error);
  gate.close();
}

// Bytes may move again: before the request, or in its body.
void Exchange::on_bandwidth() {
  const RequestScope scope(&note_);
  if (!fetch_) return begin_fetch();
  if (path_ != nullptr) path_->on_client_drained();
}

void Exchange::give_up_place() {
  RateMeter& meter = place_->meter();
  meter.settle(body_bytes_);
  if (meter.has_waited()) count(environment_.slot.counters, Counter::streams_throttled);
  place_.reset();
}

}  // namespace streamgate
