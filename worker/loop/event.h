// Ownership of libevent objects, and the functions through which libevent calls member functions.
#pragma once

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <memory>

namespace streamgate {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* pointer) const noexcept {
    Free(pointer);
  }
};

using EventConfig = std::unique_ptr<event_config, Freer<event_config_free>>;
using EventBase = std::unique_ptr<event_base, Freer<event_base_free>>;
using Event = std::unique_ptr<event, Freer<event_free>>;
using Buffer = std::unique_ptr<evbuffer, Freer<evbuffer_free>>;

template <class T>
struct MemberOwner;
template <class Class, class Return, class... Arguments>
struct MemberOwner<Return (Class::*)(Arguments...)> {
  using type = Class;
};

// For a Deadline: call<&X::on_deadline> casts the owner to X* and calls the member.
template <auto Member>
void call(void* owner) noexcept {
  (static_cast<typename MemberOwner<decltype(Member)>::type*>(owner)->*Member)();
}

// The same for event_new.
template <auto Member>
void callback(evutil_socket_t /*fd*/, short /*what*/, void* owner) noexcept {
  call<Member>(owner);
}

// An event that is a member of its owner and needs no allocation. It is not pending at first;
// destroying it removes it.
class MemberEvent {
 public:
  MemberEvent(event_base* base, evutil_socket_t fd, short what, event_callback_fn fired,
              void* owner) {
    event_assign(&event_, base, fd, what, fired, owner);
  }
  ~MemberEvent() { remove(); }
  MemberEvent(const MemberEvent&) = delete;
  MemberEvent& operator=(const MemberEvent&) = delete;

  void add() { event_add(&event_, nullptr); }
  void remove() { event_del(&event_); }
  // Makes the event fire from the event loop, whether or not the descriptor is ready.
  void activate(short what) { event_active(&event_, what, 1); }

 private:
  event event_{};
};

}  // namespace streamgate
