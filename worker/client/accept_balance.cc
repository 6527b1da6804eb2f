#include "worker/client/accept_balance.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace streamgate {
namespace {

constexpr int64_t kReadPeersEveryMs = 100;  // the scoreboard has hundreds of slots

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
  // A worker that hangs accepts nothing.
  return slot.state.load(std::memory_order_relaxed) == WorkerState::ready &&
         !is_beat_late(slot, now_ms);
}

void AcceptBalance::read_peers(int64_t now_ms) {
  if (peers_read_ms_ != 0 && now_ms - peers_read_ms_ < kReadPeersEveryMs) return;
  peers_read_ms_ = now_ms;
  peers_.clear();
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    if (i != own_index_ && competes(i, now_ms)) peers_.push_back(i);
  }
}

// How many connections more than the least loaded peer; 0 without peers.
uint64_t AcceptBalance::lead(int64_t now_ms) const {
  const uint64_t own = own_.connections_now.load(std::memory_order_relaxed);
  uint64_t least = own;
  for (const size_t peer : peers_) {
    if (!competes(peer, now_ms)) continue;
    least = std::min(
        least, scoreboard_.columns[peer].slot.connections_now.load(std::memory_order_relaxed));
  }
  return own - least;
}

// The connections that the peers have accepted so far.
uint64_t AcceptBalance::peers_took() const {
  uint64_t sum = 0;
  for (const size_t peer : peers_) {
    const Counters& counters = scoreboard_.columns[peer].slot.counters;
    sum += counters[Counter::connections_accepted].load(std::memory_order_relaxed);
  }
  return sum;
}

bool AcceptBalance::may_pause(uint64_t lead, uint64_t waiting) {
  if (waiting >= lead) return false;
  const uint64_t took = peers_took();
  if (waiting == 0 || took != peers_took_at_pause_) vain_pauses_ = 0;
  if (vain_pauses_ == kMaxVainPauses) return false;
  ++vain_pauses_;
  peers_took_at_pause_ = took;
  return true;
}

// For a listening socket Linux reports the length of the queue in tcpi_unacked.
uint64_t connections_waiting(int listening_fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(listening_fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_unacked;
}

}  // namespace streamgate
