// Address ranges for memory that processes share through a file (Scoreboard, CacheDirectory).
#pragma once

#include <cstddef>

namespace streamgate {

// An address range without memory, aligned to `alignment`, for mappings with MAP_FIXED. The caller
// unmaps it. Null on failure.
char* reserve_addresses(size_t size, size_t alignment);

// Returns shared pages to the kernel. They read as zero afterwards, in every process.
void return_pages(void* start, size_t size);

}  // namespace streamgate
