// The part of Exchange that asks StreamLimits for a place, and waits for bandwidth.
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
