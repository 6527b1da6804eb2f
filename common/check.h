// CHECK: a broken invariant of our own ends the process, in release builds too. The master replaces
// a dead worker; a worker that continues in an invalid state could mix up streams.
#pragma once

namespace streamgate {
// Writes the condition and its place to stderr and aborts. Async-signal-safe.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace streamgate

// A macro because it must quote its condition and its place.
#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::streamgate::check_failed(#condition, __FILE__, __LINE__))
