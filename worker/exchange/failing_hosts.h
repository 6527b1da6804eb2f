// Counts the failures of upstream hosts in this worker's HostFailureTable (common/host_failures.h).
//
// One per worker.
#pragma once

#include <array>
#include <string_view>

#include "common/host_failures.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class FailingHosts {
 public:
  // `table` outlives it.
  FailingHosts(HostFailureTable& table, const TimerWheel& wheel) : table_(table), wheel_(wheel) {}

  // `host` has its port. `last` is the reason or the status.
  void count_failure(std::string_view host, std::string_view last);
  void count_status(std::string_view host, int status);

 private:
  HostFailures& entry_of(std::string_view host);
  void show(HostFailures& entry, std::string_view last);

  HostFailureTable& table_;
  const TimerWheel& wheel_;
  std::array<HostFailures, HostFailureTable::kRows> entries_{};  // as in the table
};

}  // namespace streamgate
