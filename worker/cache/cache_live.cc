// The part of Cache for endless bodies: their clock, and the time after their last viewer.
#include "worker/cache/cache.h"

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

// Not where connections are counted: another channel of the account may need this one.
bool Cache::may_linger(OwnedObject& object) const {
  if (!object.is_window() || !object.is_listed || object.may_be_file()) return false;
  const HostSettings& settings = environment_.fetches.hosts.of(object.fetch().url());
  return environment_.config.linger.count() > 0 && settings.config.max_connections == 0;
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
