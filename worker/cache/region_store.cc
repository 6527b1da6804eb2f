#include "worker/cache/region_store.h"

#include <sys/mman.h>

#include <algorithm>

#include "common/check.h"

namespace streamgate {
namespace {

// The unit in which memory is counted and returned. A multiple of the page size of every supported
// machine would be 64 KiB, too much for playlists. Where pages are larger, the bound is less exact.
constexpr uint64_t kPage = 4096;

constexpr uint64_t kSmall = uint64_t{256} * 1024;
constexpr uint32_t kSmallCount = 4096;
constexpr uint64_t kMedium = uint64_t{4} * 1024 * 1024;
constexpr uint32_t kMediumCount = 2048;
constexpr uint64_t kLargeBegin = kSmall * kSmallCount + kMedium * kMediumCount;

constexpr uint64_t kAlignment = kCachePage;

uint64_t pages_for(uint64_t bytes) { return (bytes + kPage - 1) / kPage; }

}  // namespace

RegionStore::RegionStore(CacheSeat& seat, char* memory, uint64_t limit, uint64_t longest)
    : seat_(seat), memory_(memory), limit_(limit) {
  const uint64_t large = (longest + kAlignment - 1) / kAlignment * kAlignment;
  classes_[0] = {kSmall, 0, {}, {}, {}, kSmallCount};
  classes_[1] = {kMedium, kSmall * kSmallCount, {}, {}, {}, kMediumCount};
  classes_[2] = {large, kLargeBegin,
                 {},    {},
                 {},    static_cast<uint32_t>((kCacheBodyBytes - kLargeBegin) / large)};
}

uint64_t RegionStore::offset_of(const Region& region) const {
  const Class& of = classes_[region.size_class];
  return of.begin + of.stride * region.number;
}

std::optional<RegionStore::Region> RegionStore::take(uint64_t bytes) {
  for (uint32_t i = 0; i < classes_.size(); ++i) {
    Class& of = classes_[i];
    if (bytes > of.stride) continue;
    const bool is_recycled = !of.free.empty();
    if (!is_recycled && of.pages.size() == of.most) continue;
    const auto number = is_recycled ? of.free.back() : static_cast<uint32_t>(of.pages.size());
    const uint64_t pages = is_recycled ? of.pages[number] : 0;
    const uint64_t wanted = pages_for(bytes);
    // Taken off the list first, so that reserve() does not return its pages.
    if (is_recycled) of.free.pop_back();
    if (wanted > pages && !reserve((wanted - pages) * kPage)) {
      if (is_recycled) of.free.push_back(number);
      return std::nullopt;
    }
    if (!is_recycled) {
      of.pages.push_back(0);
      of.freed_turn.push_back(0);
    }
    of.pages[number] = static_cast<uint32_t>(std::max(wanted, pages));
    return Region{i, number};
  }
  return std::nullopt;
}

void RegionStore::give_back(const Region& region) {
  Class& of = classes_[region.size_class];
  of.freed_turn[region.number] = turn_;
  of.free.push_back(region.number);
}

void RegionStore::give_back_without_pages(const Region& region) {
  Class& of = classes_[region.size_class];
  if (of.pages[region.number] > 0) return_pages(of, region.number);
  give_back(region);
}

uint64_t RegionStore::held_by(const Region& region) const {
  return classes_[region.size_class].pages[region.number] * kPage;
}

void RegionStore::shrink_to(uint64_t bytes) {
  if (held_ > bytes) reclaim(held_ - bytes);
}

void RegionStore::trim() {
  ++turn_;
  for (Class& of : classes_) {
    for (const uint32_t number : of.free) {
      if (of.pages[number] > 0 && of.freed_turn[number] + 2 <= turn_) return_pages(of, number);
    }
  }
}

// Counts first and checks afterwards: if two workers do this at the same time, at least one of them
// sees both counts, so the bound holds.
bool RegionStore::reserve(uint64_t bytes) {
  if (bytes > limit_) return false;
  set_held(held_ + bytes);
  while (exceeds_limit()) {
    if (reclaim(bytes) > 0) continue;
    set_held(held_ - bytes);
    return false;
  }
  return true;
}

bool RegionStore::exceeds_limit() const {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return seat_.held_by_all() > limit_;
}

// Returns pages of free regions: at least `bytes`, or all of them.
uint64_t RegionStore::reclaim(uint64_t bytes) {
  uint64_t reclaimed = 0;
  for (Class& of : classes_) {
    for (const uint32_t number : of.free) {
      if (reclaimed >= bytes) return reclaimed;
      reclaimed += of.pages[number] * kPage;
      if (of.pages[number] > 0) return_pages(of, number);
    }
  }
  return reclaimed;
}

void RegionStore::return_pages(Class& of, uint32_t number) {
  const uint64_t bytes = of.pages[number] * kPage;
  CHECK(::madvise(memory_ + of.begin + of.stride * number, bytes, MADV_REMOVE) == 0);
  of.pages[number] = 0;
  set_held(held_ - bytes);
}

void RegionStore::set_held(uint64_t bytes) {
  held_ = bytes;
  seat_.own().held_bytes.store(bytes);
}

}  // namespace streamgate
