#include "common/service_survey.h"

#include <algorithm>

#include "common/clock.h"

namespace streamgate {
namespace {

constexpr size_t kMaxHosts = 20;

ServiceSurvey::Worker worker_of(const ScoreboardView& scoreboard, size_t slot_index,
                                int64_t now_ms) {
  const Slot& slot = scoreboard.columns[slot_index].slot;
  const int64_t started_ms = slot.started_ms.load(std::memory_order_relaxed);
  return {.slot = slot_index,
          .pid = slot.pid.load(std::memory_order_relaxed),
          .generation = scoreboard.assignments[slot_index].generation.load(),
          .state = slot.state.load(),
          .age_ms = started_ms > 0 ? now_ms - started_ms : 0,
          .connections = slot.connections_now.load(std::memory_order_relaxed),
          .idle = slot.idle_now.load(std::memory_order_relaxed),
          .exchanges = slot.exchanges_now.load(std::memory_order_relaxed),
          .upstream_connections = slot.upstream_connections_now.load(std::memory_order_relaxed),
          .upstream_idle = slot.upstream_idle_now.load(std::memory_order_relaxed),
          .cache_bytes_held = slot.cache_bytes_held.load(std::memory_order_relaxed),
          .cache_leases = slot.cache_leases_now.load(std::memory_order_relaxed),
          .bytes_in_sockets = slot.bytes_in_sockets.load(std::memory_order_relaxed)};
}

void add_streams(const Column& column, size_t slot_index, ServiceSurvey& out) {
  if (column.slot.exchanges_now.load(std::memory_order_relaxed) == 0) return;
  for (const auto& row : column.streams.rows) {
    const auto facts = row.get();
    if (facts && facts->started_ms != 0) out.streams.push_back({slot_index, *facts});
  }
}

void add_hosts(const Column& column, std::vector<HostFailures>& out) {
  for (const auto& row : column.host_failures.rows) {
    const auto entry = row.get();
    if (!entry || entry->last_ms == 0) continue;
    const auto known = std::find_if(out.begin(), out.end(), [&](const HostFailures& each) {
      return each.host.bytes == entry->host.bytes;
    });
    if (known == out.end()) {
      out.push_back(*entry);
      continue;
    }
    known->failed += entry->failed;
    known->statuses += entry->statuses;
    if (entry->last_ms < known->last_ms) continue;
    known->last_ms = entry->last_ms;
    known->last = entry->last;
  }
}

// Workers that drain may have older certificates.
void note_certificates(const ServiceSurvey::Worker& worker, const Slot& slot, ServiceSurvey& out) {
  const int64_t expire = slot.certificates_expire.load(std::memory_order_relaxed);
  if (worker.state != WorkerState::ready || expire == 0) return;
  if (out.certificates_expire == 0 || expire < out.certificates_expire) {
    out.certificates_expire = expire;
  }
}

}  // namespace

uint64_t ServiceSurvey::exchanges() const {
  uint64_t sum = 0;
  for (const Worker& worker : workers) sum += worker.exchanges;
  return sum;
}

ServiceSurvey survey(const ScoreboardView& scoreboard, int64_t now_ms,
                     std::chrono::milliseconds patience) {
  ServiceSurvey out;
  out.now_ms = now_ms;
  out.is_ready = is_ready(scoreboard, now_ms, patience);
  out.facts = scoreboard.board.facts.get();
  out.totals = totals_of(scoreboard);
  for (size_t i = 0; i < scoreboard.slot_count(); ++i) {
    if (!scoreboard.is_live(i)) continue;
    const Column& column = scoreboard.columns[i];
    out.workers.push_back(worker_of(scoreboard, i, now_ms));
    note_certificates(out.workers.back(), column.slot, out);
    add_streams(column, i, out);
    add_hosts(column, out.hosts);
  }
  std::stable_sort(out.streams.begin(), out.streams.end(), [](const auto& a, const auto& b) {
    return a.facts.started_ms < b.facts.started_ms;
  });
  std::stable_sort(out.hosts.begin(), out.hosts.end(),
                   [](const auto& a, const auto& b) { return a.all() > b.all(); });
  if (out.hosts.size() > kMaxHosts) out.hosts.resize(kMaxHosts);
  return out;
}

int64_t unix_seconds_of(int64_t monotonic_time_ms) {
  using namespace std::chrono;
  const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch());
  return (now.count() - monotonic_ms() + monotonic_time_ms + 500) / 1000;
}

}  // namespace streamgate
