// Shows the live exchanges of this worker in its StreamTable (common/stream_table.h), twice a
// second. A request that ends before costs nothing.
//
// One per worker.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/stream_table.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class Exchange;
class ExchangeList;

class LiveStreams {
 public:
  using Row = uint16_t;
  static constexpr Row kNoRow = 0xffff;

  // `exchanges` and `table` outlive it.
  LiveStreams(const ExchangeList& exchanges, TimerWheel& wheel, StreamTable& table);

  // The exchange that has the row ends.
  void remove(Row row);

 private:
  // The bytes of a stream at the beginning of the time over which its rate is measured.
  struct Measure {
    int64_t since_ms = 0;
    uint64_t bytes = 0;
    uint64_t rate = 0;
  };

  void show_all();
  void show(Exchange& exchange, int64_t now_ms);

  const ExchangeList& exchanges_;
  TimerWheel& wheel_;
  StreamTable& table_;
  std::vector<Row> free_;
  std::array<Measure, StreamTable::kRows> measures_{};
  Deadline next_;
};

}  // namespace streamgate
