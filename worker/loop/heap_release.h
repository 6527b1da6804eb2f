// Returns free memory of malloc's heap to the kernel in slices. malloc_trim() does all of it at
// once: 12 to 20 ms for 128 MiB (measured), in which the worker serves nobody.
//
// A release takes free blocks of the heap, empties their pages, and keeps the blocks, so that it
// does not find them again. Then it frees them. Meanwhile the worker allocates from the rest of the
// heap.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace streamgate {

class HeapRelease {
 public:
  // A slice ends after this time or after this many bytes.
  static constexpr std::chrono::milliseconds kSliceTime{2};
  static constexpr size_t kSliceBytes = size_t{8} * 1024 * 1024;

  HeapRelease();
  ~HeapRelease();
  HeapRelease(const HeapRelease&) = delete;
  HeapRelease& operator=(const HeapRelease&) = delete;

  enum class Left { some, none };
  // none: only parts of pages are left, and blocks of less than 4 KiB.
  Left run_slice();

 private:
  struct Block {
    Block* next;
  };
  class Slice;

  void take_blocks(Slice& slice);
  void free_blocks(Slice& slice);

  static constexpr size_t kMaxBlockBytes = size_t{512} * 1024;

  const uintptr_t end_of_heap_;  // at the beginning
  Block* held_ = nullptr;
  size_t block_bytes_ = kMaxBlockBytes;  // larger blocks are not left
};

}  // namespace streamgate
