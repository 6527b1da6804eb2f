#include "common/shared_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>

namespace streamgate {

char* reserve_addresses(size_t size, size_t alignment) {
  void* memory = ::mmap(nullptr, size + alignment, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(memory);
  const size_t excess = reinterpret_cast<uintptr_t>(start) % alignment;
  const size_t before = excess == 0 ? 0 : alignment - excess;
  if (before > 0) ::munmap(start, before);
  ::munmap(start + before + size, alignment - before);
  return start + before;
}

void return_pages(void* start, size_t size) {
  if (::madvise(start, size, MADV_REMOVE) == 0) return;
  std::memset(start, 0, size);  // the file system has no holes
}

}  // namespace streamgate
