#include "worker/upstream/connection_places.h"

#include <string_view>

#include "common/check.h"
#include "worker/upstream/account.h"

namespace streamgate {
namespace {

// How often the worker with the lower slot counts again. After that its request waits and tries
// later.
constexpr int kMaxCounts = 1000;
constexpr uint64_t kClaiming = 1;
constexpr uint64_t kOneConnection = 2;

// FNV-1a: the same in every worker and program version.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<uint8_t>(c));
  }
  void add(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3U; }
  uint64_t value() const { return value_ == 0 ? 1 : value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325U;
};

}  // namespace

uint64_t limit_key_of(const HttpUrl& url, const HostSettings& settings) {
  if (settings.config.max_connections == 0) return 0;
  Hash hash;
  hash.add(url.host);
  hash.add(static_cast<uint8_t>(url.port >> 8U));
  hash.add(static_cast<uint8_t>(url.port & 0xffU));
  if (settings.config.max_connections_by == ConnectionsBy::account) {
    hash.add(account_of(url.path_and_query));
  }
  return hash.value();
}

ConnectionPlaces::ConnectionPlaces(ConnectionTable& own, size_t slot,
                                   const ScoreboardView& scoreboard,
                                   std::chrono::milliseconds patience)
    : own_(own), slot_(slot), scoreboard_(scoreboard), patience_ms_(patience.count()) {}

bool ConnectionPlaces::claim(uint64_t key, unsigned limit) {
  ConnectionRow* row = find_or_take_row(key);
  if (row == nullptr) return false;
  const uint64_t before = row->state.load(std::memory_order_relaxed);
  CHECK(before % kOneConnection == 0);
  const uint64_t own = before / kOneConnection;
  row->state.store(before + kClaiming, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (int i = 0; i < kMaxCounts; ++i) {
    const Tally others = count_others(key);
    const uint64_t taken = own + others.connections;
    if (taken + others.lower_claims + others.higher_claims < limit) {
      row->state.store(before + kOneConnection, std::memory_order_release);
      return true;
    }
    if (taken + others.lower_claims >= limit) break;
  }
  row->state.store(before, std::memory_order_release);
  return false;
}

void ConnectionPlaces::release(uint64_t key) {
  ConnectionRow* row = find_row(key);
  CHECK(row != nullptr);
  const uint64_t before = row->state.load(std::memory_order_relaxed);
  CHECK(before >= kOneConnection);
  row->state.store(before - kOneConnection, std::memory_order_release);
}

bool ConnectionPlaces::set_waiting_since(uint64_t key, int64_t since_ms) {
  ConnectionRow* row = since_ms == 0 ? find_row(key) : find_or_take_row(key);
  if (row == nullptr) return since_ms == 0;
  const int64_t before = row->waiting_since_ms.load(std::memory_order_relaxed);
  row->waiting_since_ms.store(since_ms, std::memory_order_release);
  const uint32_t rows = own_.rows_waiting.load(std::memory_order_relaxed);
  own_.rows_waiting.store(rows + (since_ms != 0 ? 1U : 0U) - (before != 0 ? 1U : 0U),
                          std::memory_order_release);
  return true;
}

bool ConnectionPlaces::is_wanted_elsewhere(uint64_t key, int64_t before_ms, int64_t now_ms) const {
  bool is_wanted = false;
  for_each_other([&](size_t slot, const ConnectionTable& table) {
    if (table.rows_waiting.load(std::memory_order_acquire) == 0) return;
    for (const ConnectionRow& row : table.rows_of(key)) {
      if (row.key.load(std::memory_order_acquire) != key) continue;
      const int64_t since = row.waiting_since_ms.load(std::memory_order_acquire);
      if (since == 0 || since + patience_ms_ < now_ms) continue;
      if (since < before_ms || (since == before_ms && slot < slot_)) is_wanted = true;
    }
  });
  return is_wanted;
}

bool ConnectionPlaces::is_any_wanted() const {
  bool is_wanted = false;
  for_each_other([&](size_t, const ConnectionTable& table) {
    if (table.rows_waiting.load(std::memory_order_acquire) != 0) is_wanted = true;
  });
  return is_wanted;
}

ConnectionPlaces::Tally ConnectionPlaces::count_others(uint64_t key) const {
  Tally tally;
  for_each_other([&](size_t slot, const ConnectionTable& table) {
    for (const ConnectionRow& row : table.rows_of(key)) {
      if (row.key.load(std::memory_order_acquire) != key) continue;
      const uint64_t state = row.state.load(std::memory_order_acquire);
      tally.connections += state / kOneConnection;
      (slot < slot_ ? tally.lower_claims : tally.higher_claims) += state % kOneConnection;
    }
  });
  return tally;
}

ConnectionRow* ConnectionPlaces::find_row(uint64_t key) {
  for (ConnectionRow& row : own_.rows_of(key)) {
    if (row.key.load(std::memory_order_relaxed) == key) return &row;
  }
  return nullptr;
}

// A key is in one row at most: a row is given up only when it is empty, and found before a new one
// is taken.
ConnectionRow* ConnectionPlaces::find_or_take_row(uint64_t key) {
  if (ConnectionRow* row = find_row(key)) return row;
  for (ConnectionRow& row : own_.rows_of(key)) {
    if (row.state.load(std::memory_order_relaxed) != 0) continue;
    if (row.waiting_since_ms.load(std::memory_order_relaxed) != 0) continue;
    row.key.store(key, std::memory_order_release);
    return &row;
  }
  return nullptr;
}

template <class Visit>
void ConnectionPlaces::for_each_other(Visit visit) const {
  for (size_t slot = 0; slot < scoreboard_.slot_count(); ++slot) {
    if (slot == slot_ || !scoreboard_.is_live(slot)) continue;
    visit(slot, scoreboard_.columns[slot].connections);
  }
}

}  // namespace streamgate
