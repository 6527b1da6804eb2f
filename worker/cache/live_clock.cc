#include "worker/cache/live_clock.h"

namespace streamgate {

LiveClock::LiveClock(event_base* base, std::chrono::milliseconds batch, Observer& observer)
    : observer_(observer), timer_(base, batch, callback<&LiveClock::on_tick>, this) {}

void LiveClock::add(SharedObject& object) {
  if (object.is_on_clock) return;
  object.is_on_clock = true;
  if (objects_.empty()) timer_.start();
  objects_.push_back(&object);
}

void LiveClock::remove(SharedObject& object) {
  if (!object.is_on_clock) return;
  object.is_on_clock = false;
  std::erase(objects_, &object);
  if (objects_.empty()) timer_.stop();
}

void LiveClock::on_tick() {
  const std::vector<SharedObject*> objects = objects_;
  for (SharedObject* object : objects) {
    if (object->is_on_clock) observer_.on_live_tick(*object);
  }
}

}  // namespace streamgate
