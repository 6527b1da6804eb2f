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

AcceptBalance::AcceptBalance(const ScoreboardView& scoreboard, const Slot& own)
    : scoreboard_(scoreboard), own_(own) {
  while (&scoreboard_.columns[own_index_].slot != &own) ++own_index_;
}

bool AcceptBalance::competes(size_t index, int64_t now_ms) const {
  const auto generation_of = [this](size_t each) {
    return scoreboard_.assignments[each].generation.load(std::memory_order_relaxed);
  };
  if (generation_of(index) != generation_of(own_index_)) return false;
  const Slot& slot = scoreboard_.columns[index].slot;
  return slot.state.load(std::memory_order_relaxed) == WorkerState::ready &&
         now_ms - slot.beat_ms.load(std::memory_order_relaxed) < kLateBeatMs;
}

bool AcceptBalance::wants_pause(int64_t now_ms) {
  if (++taken_ < kAcceptsBetweenPauses) return false;
  taken_ = 0;
  if (peers_read_ms_ == 0 || now_ms - peers_read_ms_ >= kReadPeersEveryMs) {
    peers_read_ms_ = now_ms;
    peers_.clear();
    for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
      if (i != own_index_ && competes(i, now_ms)) peers_.push_back(i);
    }
  }
  return is_ahead(now_ms);
}

bool AcceptBalance::is_ahead(int64_t now_ms) const {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const size_t peer : peers_) {
    if (!competes(peer, now_ms)) continue;
    least = std::min(
        least, scoreboard_.columns[peer].slot.connections_now.load(std::memory_order_relaxed));
  }
  const uint64_t own = own_.connections_now.load(std::memory_order_relaxed);
  return own > least && own - least > kMaxAhead;
}

}  // namespace streamgate
