#include "worker/client/accept_balance.h"

#include <algorithm>
#include <limits>

namespace streamgate {
namespace {

constexpr unsigned kAcceptsBetweenPauses = 4;
constexpr uint64_t kMaxAhead = 4;
constexpr int64_t kReadPeersEveryMs = 100;  // the scoreboard has hundreds of slots
// Each worker updates its heartbeat every second. A worker with a late heartbeat hangs and accepts
// nothing.
constexpr int64_t kLateBeatMs = 2'500;

}  // namespace

bool AcceptBalance::competes(const Slot& slot, int64_t now_ms) const {
  return slot.state.load(std::memory_order_relaxed) == WorkerState::ready &&
         slot.generation.load(std::memory_order_relaxed) ==
             own_.generation.load(std::memory_order_relaxed) &&
         now_ms - slot.beat_ms.load(std::memory_order_relaxed) < kLateBeatMs;
}

bool AcceptBalance::wants_pause(int64_t now_ms) {
  if (++taken_ < kAcceptsBetweenPauses) return false;
  taken_ = 0;
  if (peers_read_ms_ == 0 || now_ms - peers_read_ms_ >= kReadPeersEveryMs) {
    peers_read_ms_ = now_ms;
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
  return own > least && own - least > kMaxAhead;
}

}  // namespace streamgate
