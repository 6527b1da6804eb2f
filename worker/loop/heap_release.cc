#include "worker/loop/heap_release.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <new>

namespace streamgate {
namespace {

constexpr size_t kMinBlockBytes = size_t{8} * 1024;

uintptr_t end_of_heap() { return reinterpret_cast<uintptr_t>(::sbrk(0)); }

// The pages that are in the block as a whole. The first bytes stay: the list is there.
void empty_pages(void* block, size_t bytes) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(block);
  const uintptr_t begin = (address + sizeof(void*) + page - 1) / page * page;
  const uintptr_t end = (address + bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace

HeapRelease::~HeapRelease() {
  while (held_ != nullptr) {
    void* const block = held_;
    held_ = held_->next;
    std::free(block);
  }
}

HeapRelease::Left HeapRelease::release_slice() {
  for (size_t released = 0; released < kSliceBytes;) {
    if (block_bytes_ < kMinBlockBytes) return Left::none;
    const uintptr_t end = end_of_heap();
    void* const block = std::malloc(block_bytes_);
    // Behind the end: no free block was large enough, so the heap has grown, or the block is
    // mapped.
    if (block == nullptr || reinterpret_cast<uintptr_t>(block) + block_bytes_ > end) {
      std::free(block);
      block_bytes_ /= 2;
      continue;
    }
    empty_pages(block, block_bytes_);
    held_ = new (block) Block{held_};
    released += block_bytes_;
  }
  return Left::some;
}

}  // namespace streamgate
