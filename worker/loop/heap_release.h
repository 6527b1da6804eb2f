// Returns free memory of malloc's heap to the kernel in slices. malloc_trim() does all of it at
// once: 12 to 20 ms for 128 MiB (measured), in which the worker serves nobody. After the slices it
// needs 5 to 10 ms, because the pages of large blocks have gone.
#pragma once

#include <cstddef>

namespace streamgate {

// Takes free blocks of the heap, empties their pages, and keeps them, so that it does not find them
// again; the destructor frees them. Meanwhile the worker allocates from the rest of the heap.
class HeapRelease {
 public:
  // 2 ms (measured).
  static constexpr size_t kSliceBytes = size_t{8} * 1024 * 1024;

  HeapRelease() = default;
  ~HeapRelease();
  HeapRelease(const HeapRelease&) = delete;
  HeapRelease& operator=(const HeapRelease&) = delete;

  enum class Left { some, none };
  // Releases a slice, or the last part. none: only blocks of less than 8 KiB are left.
  Left release_slice();

 private:
  struct Block {
    Block* next;
  };

  static constexpr size_t kMaxBlockBytes = size_t{512} * 1024;

  Block* held_ = nullptr;
  size_t block_bytes_ = kMaxBlockBytes;  // blocks of more bytes are not left
};

}  // namespace streamgate
