// The refusals of one kind that a worker answers: kBurst at once, then kRate a second.
#pragma once

#include <cstdint>

#include "common/clock.h"

namespace streamgate {

class RefusalBudget {
 public:
  static constexpr int64_t kRate = 500;  // a second
  static constexpr int64_t kBurst = 100;

  using Clock = int64_t (*)();  // microseconds; never goes back

  explicit RefusalBudget(Clock clock = monotonic_us) : clock_(clock) {}

  // Whether one more may be answered now. If so, it is counted.
  bool take();

 private:
  Clock clock_;
  int64_t paid_until_us_ = 0;  // the theoretical arrival time of GCRA
};

}  // namespace streamgate
