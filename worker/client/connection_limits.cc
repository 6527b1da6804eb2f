#include "worker/client/connection_limits.h"

#include "common/clock.h"
#include "worker/client/client_address.h"

namespace streamgate {

uint64_t ConnectionLimits::excess() const {
  uint64_t connections = 0;
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    if (!scoreboard_.is_live(i)) continue;
    connections += scoreboard_.columns[i].slot.connections_now.load(std::memory_order_relaxed);
  }
  const uint64_t most = config_.limits.connections;
  return connections > most ? connections - most : 0;
}

bool ConnectionLimits::other_has(std::atomic<uint64_t> Slot::*value) const {
  const int64_t now_ms = monotonic_ms();
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    const Column& column = scoreboard_.columns[i];
    if (!scoreboard_.is_live(i) || &column == &own_) continue;
    if (is_beat_late(column.slot, now_ms)) continue;  // a worker that hangs closes nothing
    if ((column.slot.*value).load(std::memory_order_relaxed) > 0) return true;
  }
  return false;
}

std::optional<uint32_t> ConnectionLimits::add(const SocketAddress& peer) {
  if (config_.limits.per_client.connections == 0) return std::nullopt;
  if (is_trusted(peer, config_.trusted_proxies)) return std::nullopt;
  return own_.client_counts.add(client_key(peer.ip()));
}

bool ConnectionLimits::is_over(const SocketAddress& peer) const {
  const uint64_t key = client_key(peer.ip());
  uint64_t connections = 0;
  for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
    if (!scoreboard_.is_live(i)) continue;
    connections += scoreboard_.columns[i].client_counts.count_of(key);
  }
  return connections > config_.limits.per_client.connections;
}

// An IPv4 address gets a prefix of ::/8, which no IPv6 client has (RFC 4291 2.4).
uint64_t client_key(const IpAddress& address) {
  uint64_t key = 0;
  for (size_t i = 0; i < (address.is_v4 ? 4U : 8U); ++i) key = (key << 8U) | address.bytes[i];
  return address.is_v4 ? key | (uint64_t{1} << 32U) : key;
}

}  // namespace streamgate
