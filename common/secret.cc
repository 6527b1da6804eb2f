#include "common/secret.h"

#include <string.h>
#include <sys/mman.h>

#include <cstddef>

#include "common/check.h"

namespace streamgate {

struct Secret::Block {
  explicit Block(std::string_view text) : capacity(text.size()), size(text.size()) {
    void* pages =
        ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    memory = static_cast<char*>(pages);
    ::madvise(memory, capacity, MADV_DONTDUMP);
    // May fail (RLIMIT_MEMLOCK); the text is then not locked. In mlock() sanitizers do nothing.
    ::mlock2(memory, capacity, 0);
    text.copy(memory, capacity);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    wipe();
    ::munmap(memory, capacity);
  }

  void wipe() {
    ::explicit_bzero(memory, capacity);
    size = 0;
  }

  char* memory = nullptr;  // owned
  size_t capacity;
  size_t size;
};

Secret::Secret(std::string_view text) {
  if (!text.empty()) block_ = std::make_shared<Block>(text);
}

std::string_view Secret::view() const {
  return block_ ? std::string_view(block_->memory, block_->size) : std::string_view();
}

void Secret::wipe() const {
  if (block_) block_->wipe();
}

void wipe(std::string& text) {
  text.resize(text.capacity());  // the text may have been longer: wipe the memory after its end too
  ::explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace streamgate
