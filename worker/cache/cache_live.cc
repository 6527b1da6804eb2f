// The part of Cache for endless bodies: their clock, and the time after their last viewer.
#include <algorithm>

#include "worker/cache/cache.h"
#include "worker/upstream/connection_places.h"

namespace streamgate {

void Cache::on_window(OwnedObject& object) {
  live_clock_.add(object);
  on_changed(object);
}

// The viewers of this worker first: the owner then reads on for the furthest of them.
void Cache::on_live_tick(SharedObject& object) {
  const CacheState state = object.state();
  const uint64_t filled = object.filled();
  if (object.has_readers() && !object.is_seen(state, filled)) {
    object.see(state, filled);
    // A worker may have hundreds of channels with one viewer each.
    turns_.is_turn_long() ? notify_later(object) : static_cast<void>(notify(object));
  }
  if (object.is_ended || !object.is_owned()) return;
  static_cast<OwnedObject&>(object).on_live_tick();
}

// Where connections are counted, another channel of the account gets the place of this one
// (give_up_lingering). That works only if it waits for that place. Behind a redirect to another
// host it would ask the first host at once, and the provider would refuse a second stream.
bool Cache::may_linger(OwnedObject& object) const {
  if (!object.is_window() || !object.is_listed || object.may_be_file()) return false;
  const HttpUrl& url = object.fetch().url();
  return environment_.config.linger.count() > 0 &&
         object.limit_key() == limit_key_of(url, environment_.fetches.hosts.of(url));
}

// The fetch of a window is under way, and nobody reads it.
bool Cache::is_lingering(const OwnedObject& object) const {
  return object.is_window() && object.is_fetching() && !object.has_readers() &&
         !seat_.is_leased(object.place());
}

// For each key for which a request waits, in any worker, the stream that has had no viewer for the
// longest time ends. Its viewer has probably changed to the channel that now waits.
void Cache::give_up_lingering() {
  std::vector<OwnedObject*> lingering;
  for (SharedObject* each : live_clock_.objects()) {
    if (!each->is_owned()) continue;
    auto& object = static_cast<OwnedObject&>(*each);
    if (object.limit_key() != 0 && is_lingering(object)) lingering.push_back(&object);
  }
  const auto unused_since = [now = now_ms()](const OwnedObject* object) {
    return object->unused_since_ms() == 0 ? now : object->unused_since_ms();
  };
  std::stable_sort(lingering.begin(), lingering.end(), [&](const auto* one, const auto* other) {
    return unused_since(one) < unused_since(other);
  });
  std::vector<uint64_t> served;
  for (OwnedObject* object : lingering) {
    const uint64_t key = object->limit_key();
    if (std::find(served.begin(), served.end(), key) != served.end()) continue;
    if (!environment_.fetches.pool.is_wanted(key)) continue;
    served.push_back(key);
    object->cancel();
    retire(*object);
  }
}

// The fetch is under way, and nobody needs it any more.
bool Cache::is_unused(OwnedObject& object, int64_t now_ms) const {
  if (!object.is_fetching()) return false;
  if (object.has_readers() || seat_.is_leased(object.place())) {
    object.end_linger();
    return false;
  }
  const int64_t linger = may_linger(object) ? environment_.config.linger.count() : 0;
  return object.has_lingered(now_ms, linger);
}

}  // namespace streamgate
