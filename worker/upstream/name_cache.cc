#include "worker/upstream/name_cache.h"

#include <algorithm>
#include <utility>

namespace streamgate {
namespace {

constexpr int64_t kMinTtlMs = 1'000;
constexpr int64_t kMaxTtlMs = 300'000;
constexpr int64_t kFailureMs = 5'000;
// The last part of a TTL, in which addresses are refreshed.
constexpr int64_t kPartToRefresh = 4;
// A full cache is searched for room at most this often.
constexpr int64_t kSweepEveryMs = 1'000;

}  // namespace

NameCache::Kept* NameCache::find(std::string_view name, int64_t now_ms) {
  const auto found = names_.find(name);
  if (found == names_.end() || now_ms >= found->second.expires_ms) return nullptr;
  return &found->second;
}

void NameCache::keep(const std::string& name, const ResolvedName& found, int64_t ttl_ms,
                     int64_t now_ms) {
  const int64_t ttl = std::clamp(ttl_ms, kMinTtlMs, kMaxTtlMs);
  put(name, {found, std::nullopt, now_ms + ttl, now_ms + ttl - ttl / kPartToRefresh}, now_ms);
}

void NameCache::keep_failure(const std::string& name, const Error& failure, int64_t now_ms) {
  const Kept* const known = find(name, now_ms);
  if (known != nullptr && !known->failure) return;
  put(name, {{}, failure, now_ms + kFailureMs}, now_ms);
}

void NameCache::put(const std::string& name, Kept kept, int64_t now_ms) {
  if (names_.size() >= kMaxNames && names_.find(name) == names_.end() && !make_room(now_ms)) return;
  names_.insert_or_assign(name, std::move(kept));
}

// A full cache evicts failures, for addresses and for other failures.
bool NameCache::make_room(int64_t now_ms) {
  if (now_ms < next_sweep_ms_) return false;
  next_sweep_ms_ = now_ms + kSweepEveryMs;
  std::erase_if(names_, [now_ms](const auto& entry) {
    return now_ms >= entry.second.expires_ms || entry.second.failure;
  });
  return names_.size() < kMaxNames;
}

}  // namespace streamgate
