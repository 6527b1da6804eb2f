#include "worker/exchange/live_streams.h"

#include <chrono>

#include "worker/exchange/exchange.h"
#include "worker/exchange/exchange_list.h"

namespace streamgate {
namespace {

constexpr std::chrono::milliseconds kInterval{500};
constexpr int64_t kRateWindowMs = 2'000;

}  // namespace

LiveStreams::LiveStreams(const ExchangeList& exchanges, TimerWheel& wheel, StreamTable& table)
    : exchanges_(exchanges),
      wheel_(wheel),
      table_(table),
      next_(wheel, this, call<&LiveStreams::show_all>) {
  free_.reserve(StreamTable::kRows);
  for (size_t row = StreamTable::kRows; row > 0; --row) free_.push_back(static_cast<Row>(row - 1));
  next_.arm(kInterval);
}

void LiveStreams::remove(Row row) {
  table_.rows[row].put({});
  free_.push_back(row);
}

void LiveStreams::show_all() {
  const int64_t now_ms = wheel_.now_ms();
  exchanges_.for_each([&](Exchange& exchange) { show(exchange, now_ms); });
  next_.arm(kInterval);
}

void LiveStreams::show(Exchange& exchange, int64_t now_ms) {
  if (!exchange.has_upstream()) return;
  exchange.count_sent();
  if (exchange.stream_row() == kNoRow) {
    if (free_.empty()) return;
    exchange.set_stream_row(free_.back());
    measures_[free_.back()] = Measure{.since_ms = exchange.started_ms()};
    free_.pop_back();
  }
  StreamFacts facts = exchange.facts();
  Measure& measure = measures_[exchange.stream_row()];
  const int64_t window_ms = now_ms - measure.since_ms;
  if (window_ms >= kRateWindowMs || measure.rate == 0) {
    const uint64_t bytes = facts.bytes > measure.bytes ? facts.bytes - measure.bytes : 0;
    measure.rate = window_ms > 0 ? bytes * 1000 / static_cast<uint64_t>(window_ms) : 0;
  }
  if (window_ms >= kRateWindowMs) {
    measure.since_ms = now_ms;
    measure.bytes = facts.bytes;
  }
  facts.rate = measure.rate;
  table_.rows[exchange.stream_row()].put(facts);
}

}  // namespace streamgate
