#include "worker/client/accept_balance.h"

#include <algorithm>
#include <limits>

namespace streamgate {
namespace {

constexpr unsigned kTakenAtOnce = 4;
constexpr uint64_t kMostAhead = 4;
constexpr int64_t kLookAgainMs = 100;  // the scoreboard has hundreds of slots
// A worker beats each second; one that is late hangs, and will not take what is left to it.
constexpr int64_t kLateBeatMs = 2'500;

}  // namespace

bool AcceptBalance::competes(const Slot& slot, int64_t now_ms) const {
  return slot.state.load(std::memory_order_relaxed) == WorkerState::ready &&
         slot.generation.load(std::memory_order_relaxed) ==
             own_.generation.load(std::memory_order_relaxed) &&
         now_ms - slot.beat_ms.load(std::memory_order_relaxed) < kLateBeatMs;
}

bool AcceptBalance::wants_rest(int64_t now_ms) {
  if (++taken_ < kTakenAtOnce) return false;
  taken_ = 0;
  if (looked_ms_ == 0 || now_ms - looked_ms_ >= kLookAgainMs) {
    looked_ms_ = now_ms;
    peers_.clear();
    for (const Slot& slot : slots_) {
      if (&slot != &own_ && competes(slot, now_ms)) peers_.push_back(&slot);
    }
  }
  return is_ahead(now_ms);
}

bool AcceptBalance::is_ahead(int64_t now_ms) const {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const Slot* peer : peers_) {
    if (!competes(*peer, now_ms)) continue;
    least = std::min(least, peer->connections_now.load(std::memory_order_relaxed));
  }
  const uint64_t own = own_.connections_now.load(std::memory_order_relaxed);
  return own > least && own - least > kMostAhead;
}

}  // namespace streamgate
