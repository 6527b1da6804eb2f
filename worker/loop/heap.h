// How malloc keeps and returns free memory.
//
// glibc returns only the end of its heap by itself. After 3,000 requests at once a few live blocks
// near the end kept 13 of 15 MiB resident, although nearly all of it was free (measured). HeapTrim
// returns pages anywhere in the heap once nothing has needed them for a while, in slices.
#pragma once

#include <cstddef>
#include <optional>

#include "worker/loop/heap_release.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

// Sets malloc's limits for this process. Call it before the first connection.
void configure_heap();

// One per worker.
class HeapTrim {
 public:
  explicit HeapTrim(TimerWheel& wheel);

  // Compares the free memory with that of the last call, and begins to return it to the kernel if
  // more than 5 MiB were free at both. The timer calls it every 10 s.
  void check();
  bool is_releasing() const { return release_.has_value(); }
  // Returns the next slice. The timer calls it every 20 ms while is_releasing().
  void release_slice();

 private:
  void on_timer();

  Deadline deadline_;
  size_t last_;  // idle bytes at the last check
  std::optional<HeapRelease> release_;
  size_t settled_;  // idle bytes that a trim did not return: their pages have live blocks too
};

}  // namespace streamgate
