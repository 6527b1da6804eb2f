// The part of Cache that calls the readers of a changed object, and watches those of other workers.
//
// An object may have thousands of readers in this worker. The first ones are called at once, for as
// long as a turn of the loop may take (WorkQueue::is_turn_long), the others in later turns, between
// the events of clients and upstreams.
#include "worker/cache/cache.h"

namespace streamgate {
namespace {

// Whether LiveClock calls the readers of the object.
bool has_clock(const SharedObject& object) {
  return object.is_on_clock && object.state() == CacheState::growing;
}

}  // namespace

// The object has changed. False: some readers are called later.
bool Cache::notify(SharedObject& object) {
  object.note_change();
  if (object.call_readers(turns_)) return true;
  queue(object);
  return false;
}

void Cache::notify_later(SharedObject& object) {
  object.note_change();
  queue(object);
}

void Cache::queue(SharedObject& object) {
  if (object.is_ended || object.is_queued) return;
  object.is_queued = true;
  queued_.push_back(&object);
  next_queued_.schedule();
}

// As many objects as fit into the turn, each once: clients that always have work schedule a task
// each, and all of these objects share one.
void Cache::call_queued() {
  for (size_t left = queued_.size(); left > 0 && !queued_.empty(); --left) {
    SharedObject& object = *queued_.front();
    queued_.pop_front();
    object.is_queued = false;
    call_readers_of(object);
    if (turns_.is_turn_long()) break;
  }
  if (!queued_.empty()) next_queued_.schedule();
}

void Cache::call_readers_of(SharedObject& object) {
  if (!object.call_readers(turns_)) return queue(object);
  if (object.is_ended || object.is_owned() || has_clock(object)) return;
  watch(object);
}

// Calls the readers of a leased object until they have seen its newest state, and asks for the next
// wake-up.
void Cache::watch(SharedObject& object) {
  const CacheState state = object.state();
  const uint64_t filled = object.filled();
  const bool is_under_way = state == CacheState::claim || state == CacheState::growing;
  if (state == CacheState::growing && object.is_window()) live_clock_.add(object);
  if (!object.is_seen(state, filled)) {
    object.see(state, filled);
    if (!notify(object)) return;  // then call_queued() watches again
  }
  if (!is_under_way || !object.has_readers() || object.is_on_clock) return;
  // The object has changed again. That may repeat for long, so the other queued objects come first.
  if (!seat_.wait(object.place(), state, filled)) queue(object);
}

void Cache::on_woken() {
  seat_.drain_waker();
  purges_.look();
  look_at_leased();
}

void Cache::look_at_leased() {
  for (SharedObject* object : snapshot(leased_)) {
    if (object->is_ended) continue;
    if (object->has_readers()) {
      if (has_clock(*object) || object->is_seen(object->state(), object->filled())) continue;
      // call_queued() watches it.
      turns_.is_turn_long() ? queue(*object) : watch(*object);
      continue;
    }
    if (object->is_listed && !object->may_join(now_ms())) unlist(*object);
    drop_if_unused(*object);
  }
}

}  // namespace streamgate
