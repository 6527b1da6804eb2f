#include "worker/client/refusal_budget.h"

#include <algorithm>

namespace streamgate {

bool RefusalBudget::take() {
  constexpr int64_t kCostUs = 1'000'000 / kRate;
  const int64_t now = clock_();
  const int64_t next = std::max(paid_until_us_, now) + kCostUs;
  if (next > now + kBurst * kCostUs) return false;
  paid_until_us_ = next;
  return true;
}

}  // namespace streamgate
