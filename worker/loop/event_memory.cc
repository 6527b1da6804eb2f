#include "worker/loop/event_memory.h"

#include <event2/event.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace streamgate {
namespace {

// The object is an evmap_io of 16 bytes; of 20 with EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST.
constexpr size_t kMinBytes = 16;
constexpr size_t kSlotBytes = 24;
constexpr size_t kMaxSlots = size_t{1} << 20U;

// One slot for each descriptor, in reserved addresses: a page takes memory once it is used.
class SlotMemory {
 public:
  void reserve(size_t slots) {
    if (begin_ != nullptr) return;
    void* const memory = ::mmap(nullptr, slots * kSlotBytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return;  // malloc serves all objects
    begin_ = next_ = static_cast<char*>(memory);
    end_ = begin_ + slots * kSlotBytes;
  }

  bool has(const void* object) const { return object >= begin_ && object < end_; }
  size_t objects() const { return objects_; }

  // Null if there is no slot.
  void* take() {
    void* slot = free_;
    if (free_ != nullptr) {
      free_ = free_->next;
    } else if (next_ != end_) {
      slot = next_;
      next_ += kSlotBytes;
    } else {
      return nullptr;
    }
    ++objects_;
    return slot;
  }

  void give_back(void* slot) {
    free_ = new (slot) Free{free_};
    --objects_;
  }

 private:
  struct Free {
    Free* next;
  };

  char* begin_ = nullptr;
  char* next_ = nullptr;  // the slots from here on were never used
  char* end_ = nullptr;
  Free* free_ = nullptr;
  size_t objects_ = 0;
};

SlotMemory slots;

void* allocate(size_t bytes) {
  void* const slot = bytes >= kMinBytes && bytes <= kSlotBytes ? slots.take() : nullptr;
  return slot != nullptr ? slot : std::malloc(bytes);
}

void release(void* object) {
  if (slots.has(object)) return slots.give_back(object);
  std::free(object);
}

void* reallocate(void* object, size_t bytes) {
  if (!slots.has(object)) return std::realloc(object, bytes);
  void* const other = std::malloc(bytes);
  if (other == nullptr) return nullptr;
  std::memcpy(other, object, std::min(bytes, kSlotBytes));
  slots.give_back(object);
  return other;
}

}  // namespace

void use_dense_event_memory() {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  slots.reserve(std::min<size_t>(descriptors.rlim_cur, kMaxSlots));
  event_set_mem_functions(allocate, reallocate, release);
}

size_t dense_event_objects() { return slots.objects(); }

}  // namespace streamgate
