// The part of Cache for purges.
#include <memory>

#include "worker/cache/cache.h"

namespace streamgate {

uint64_t Cache::drop(const PurgeOrder& order) {
  const auto kept = std::make_shared<const PurgeOrder>(order);
  uint64_t dropped = 0;
  for (SharedObject* each : snapshot(owned_)) {
    auto& object = static_cast<OwnedObject&>(*each);
    if (object.is_ended || !object.is_listed) continue;
    if (!object.is_covered(order)) {
      object.keep_order(kept);
      continue;
    }
    ++dropped;
    // An object that is still being fetched is retired at its end.
    object.is_fetching() ? close(object) : retire(object);
  }
  count(environment_.slot.counters, Counter::cache_purged, dropped);
  return dropped;
}

// New requests do not get the answer, and it is not stored.
void Cache::close(OwnedObject& object) {
  seat_.close(object.place());
  unlist(object);
}

void Cache::on_covered(OwnedObject& object) {
  // Once, although several orders may cover it.
  if (object.is_listed) count(environment_.slot.counters, Counter::cache_purged);
  close(object);
}

}  // namespace streamgate
