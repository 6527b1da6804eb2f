// The request that the worker is serving at this moment, written to shared memory, so that the
// master can name it if the worker crashes or hangs (the event worker.died).
//
// Every object that runs for a request enters its note for the time of a callback (RequestScope).
// Objects that continue later, such as a connection, keep current_note() when their task begins. A
// note is copied to shared memory only if it differs from the last one, so a busy stream costs one
// comparison for each callback.
//
// One per worker, which has one thread: the current note is static. No note may be destroyed inside
// its own scope (Reaper).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/scoreboard.h"

namespace streamgate {

class RequestNote;

namespace request_note_detail {

struct State {
  ServedRequest* memory;
  const RequestNote* current = nullptr;
  const RequestNote* shown = nullptr;  // the note whose text is in `memory`
};
extern State state;
void show(const RequestNote& note);

}  // namespace request_note_detail

// The name of a step, padded with NULs, so that noting it takes two instructions.
using StepText = std::array<char, kServedStepBytes>;
constexpr StepText step_text(std::string_view name) {
  StepText out{};
  std::copy_n(name.begin(), std::min(name.size(), out.size() - 1), out.begin());
  return out;
}

// A member of the object that handles a request, or a variable of a function that handles a client.
class RequestNote {
 public:
  // `client`: its address, at most 128 bytes of it.
  explicit RequestNote(std::string_view client) : RequestNote(client, {}, {}) {}
  // Of a request whose head has arrived. `id`: of the exchange, at most 36 bytes of it.
  RequestNote(std::string_view client, std::string_view id, std::string_view method);
  ~RequestNote();
  RequestNote(const RequestNote&) = delete;
  RequestNote& operator=(const RequestNote&) = delete;

  // Adds the target, or replaces it. `url` must be redacted already (common/log.h). It is cut where
  // there is no more room.
  void set_target(std::string_view url);
  // The target, or empty if it was cut. For the access log, which redacts the same URL.
  std::string_view whole_target() const;

 private:
  friend void request_note_detail::show(const RequestNote& note);
  friend void note_step(const StepText& step);

  static constexpr size_t kMaxBytes = kServedTextBytes;

  StepText step_{};
  uint16_t size_ = 0;
  uint16_t target_at_ = 0;
  bool is_cut_ = false;
  std::array<char, kMaxBytes> text_;
};

// Shows the notes in `memory` from now on. Before the first call they are not shown. Called once by
// the worker, with a part of its column.
void show_notes_in(ServedRequest& memory);

// The note that was entered last; null outside every scope.
const RequestNote* current_note();

// The step of the current request.
void note_step(const StepText& step);

// Enters a note, and leaves it when the scope ends. Null, and the current note, change nothing.
class RequestScope {
 public:
  explicit RequestScope(const RequestNote* note);
  ~RequestScope();
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

 private:
  const RequestNote* outer_;
};

inline const RequestNote* current_note() { return request_note_detail::state.current; }

inline RequestScope::RequestScope(const RequestNote* note) {
  auto& state = request_note_detail::state;
  outer_ = state.current;
  if (note == nullptr || note == outer_) return;
  state.current = note;
  if (state.shown != note) request_note_detail::show(*note);
  state.memory->is_running.store(1, std::memory_order_relaxed);
}

inline RequestScope::~RequestScope() {
  auto& state = request_note_detail::state;
  if (state.current == outer_) return;
  state.current = outer_;
  // The inner note stays in memory: it has more information than the note of the gate around it.
  if (outer_ == nullptr) state.memory->is_running.store(0, std::memory_order_relaxed);
}

}  // namespace streamgate
