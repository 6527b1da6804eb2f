#include "worker/loop/heap_release.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <new>

namespace streamgate {
namespace {

constexpr size_t kMinBlockBytes = size_t{4} * 1024;
// Each size of blocks is 1/16 smaller than the one before. The pages at the ends of a block stay
// resident, so a free area should be taken as few blocks. Halves leave three times as many pages.
constexpr size_t kSizeSteps = 16;

// The pages that are in the block as a whole. The first bytes stay: the list is there.
void empty_pages(void* block, size_t bytes) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(block);
  const uintptr_t begin = (address + sizeof(void*) + page - 1) / page * page;
  const uintptr_t end = (address + bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace

class HeapRelease::Slice {
 public:
  bool is_over() const { return bytes_ >= kSliceBytes || Clock::now() - begun_ >= kSliceTime; }
  void add(size_t bytes) { bytes_ += bytes; }

 private:
  using Clock = std::chrono::steady_clock;

  const Clock::time_point begun_ = Clock::now();
  size_t bytes_ = 0;
};

HeapRelease::HeapRelease() : end_of_heap_(reinterpret_cast<uintptr_t>(::sbrk(0))) {}

HeapRelease::~HeapRelease() {
  while (held_ != nullptr) {
    void* const block = held_;
    held_ = held_->next;
    std::free(block);
  }
}

HeapRelease::Left HeapRelease::run_slice() {
  Slice slice;
  if (block_bytes_ >= kMinBlockBytes) {
    take_blocks(slice);
    return Left::some;
  }
  free_blocks(slice);
  return held_ == nullptr ? Left::none : Left::some;
}

void HeapRelease::take_blocks(Slice& slice) {
  while (block_bytes_ >= kMinBlockBytes && !slice.is_over()) {
    void* const block = std::malloc(block_bytes_);
    // Behind the end: no free block was large enough, so the heap has grown, or the block is
    // mapped.
    if (block == nullptr || reinterpret_cast<uintptr_t>(block) + block_bytes_ > end_of_heap_) {
      std::free(block);
      block_bytes_ -= block_bytes_ / kSizeSteps;
      continue;
    }
    empty_pages(block, block_bytes_);
    held_ = new (block) Block{held_};
    slice.add(block_bytes_);
  }
}

void HeapRelease::free_blocks(Slice& slice) {
  while (held_ != nullptr && !slice.is_over()) {
    void* const block = held_;
    held_ = held_->next;
    std::free(block);
  }
}

}  // namespace streamgate
