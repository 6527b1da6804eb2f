// Where libevent keeps its object for a descriptor.
//
// libevent allocates an object of 16 or 20 bytes when it first sees a descriptor number, and keeps
// it until its base ends. In a burst of connections malloc puts these objects between those of the
// burst, and later each keeps a page of the heap resident: 2,100 descriptors kept 8 MiB after an
// attack (measured). Therefore they are placed next to each other, in memory of their own.
//
// All other objects come from malloc. If libevent has memory functions, it calls malloc and memset
// instead of calloc: glibc's calloc does not use the thread's cache. evhtp_set_mem_functions does
// not help: evhtp compares its argument with malloc, and continues to use calloc.
#pragma once

#include <cstddef>

namespace streamgate {

// Sets libevent's memory functions for this process. Call it before the first event base. Pointers
// that libevent has from malloc stay valid. Not for several threads.
void use_dense_event_memory();

size_t dense_event_objects();  // in that memory now; for tests

}  // namespace streamgate
