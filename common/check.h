// CHECK: a broken promise between our own functions ends the process, in release builds too: a dead
// worker is respawned by the master, a confused one would leak streams.
#pragma once

namespace streamgate {
// Writes the condition and its place to stderr and aborts. Async-signal-safe.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace streamgate

// A macro because it must quote its condition and its place.
#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::streamgate::check_failed(#condition, __FILE__, __LINE__))
