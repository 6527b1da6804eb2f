// The connections of a worker that may be closed to make room for new ones, in the order in which
// they became idle. Four states:
//
//   busy       a request is being answered; never closed
//   idle       no byte of a request has arrived, or the connection waits for the next request, or
//              the answer is complete and the connection is about to close
//   receiving  a part of a request, handshake or PROXY protocol header has arrived: may be closed
//              after kReceivingTime
//   refused    beyond a limit: closed before all others
//
// One per worker. Changing the state of a connection is O(1), without allocation or system call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace streamgate {

class ClientGate;

class IdleConnections {
 public:
  enum class State : uint8_t { busy, idle, receiving, refused };

  // Slow clients need several round trips for a TLS handshake. header_timeout is too long: clients
  // that send a byte and stop would keep all others out for that time.
  static constexpr int64_t kReceivingTimeMs = 2'000;

  // A member of the connection.
  class Entry {
   public:
    Entry(IdleConnections& all, ClientGate& gate) : all_(all), gate_(gate) {}
    ~Entry() { set(State::busy, 0); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    State state() const { return state_; }
    // `now_ms` never goes back.
    void set(State state, int64_t now_ms);

   private:
    friend class IdleConnections;

    IdleConnections& all_;
    ClientGate& gate_;
    Entry* previous_ = nullptr;
    Entry* next_ = nullptr;
    int64_t since_ms_ = 0;
    State state_ = State::busy;
  };

  IdleConnections() = default;
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;

  // Those in the state idle.
  size_t count() const { return count_; }
  // Null if there is none. longest_idle() includes connections that have been receiving too long.
  ClientGate* oldest_refused() const;
  ClientGate* longest_idle(int64_t now_ms) const;

 private:
  struct List {
    Entry* first = nullptr;  // in the list for the longest time
    Entry* last = nullptr;
  };

  List& list_of(State state) { return lists_[static_cast<size_t>(state)]; }
  const List& list_of(State state) const { return lists_[static_cast<size_t>(state)]; }

  std::array<List, 4> lists_;  // by state; the list of `busy` stays empty
  size_t count_ = 0;
};

inline void IdleConnections::Entry::set(State state, int64_t now_ms) {
  if (state_ != State::busy) {
    List& list = all_.list_of(state_);
    (previous_ != nullptr ? previous_->next_ : list.first) = next_;
    (next_ != nullptr ? next_->previous_ : list.last) = previous_;
    previous_ = next_ = nullptr;
  }
  if (state_ == State::idle) --all_.count_;
  if (state == State::idle) ++all_.count_;
  state_ = state;
  if (state == State::busy) return;
  since_ms_ = now_ms;
  List& list = all_.list_of(state);
  previous_ = list.last;
  (previous_ != nullptr ? previous_->next_ : list.first) = this;
  list.last = this;
}

inline ClientGate* IdleConnections::oldest_refused() const {
  const Entry* first = list_of(State::refused).first;
  return first != nullptr ? &first->gate_ : nullptr;
}

inline ClientGate* IdleConnections::longest_idle(int64_t now_ms) const {
  const Entry* idle = list_of(State::idle).first;
  const Entry* receiving = list_of(State::receiving).first;
  if (receiving != nullptr && now_ms - receiving->since_ms_ < kReceivingTimeMs) receiving = nullptr;
  if (idle == nullptr || (receiving != nullptr && receiving->since_ms_ < idle->since_ms_)) {
    idle = receiving;
  }
  return idle != nullptr ? &idle->gate_ : nullptr;
}

}  // namespace streamgate
