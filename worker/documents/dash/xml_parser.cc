#include "worker/documents/dash/xml_parser.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// Expat's allocator has no argument of the caller, so the parser that runs is noted here. A worker
// has one thread.
size_t* memory_of_running = nullptr;

class Running {
 public:
  explicit Running(size_t& memory) : before_(std::exchange(memory_of_running, &memory)) {}
  ~Running() { memory_of_running = before_; }

 private:
  size_t* const before_;
};

// Each block begins with its size.
constexpr size_t kHeader = alignof(std::max_align_t);

void* allocate(size_t size) {
  if (size > XmlParser::kMaxMemory - *memory_of_running) return nullptr;
  char* const block = static_cast<char*>(std::malloc(size + kHeader));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &size, sizeof size);
  *memory_of_running += size;
  return block + kHeader;
}

size_t size_of(const void* memory) {
  size_t size = 0;
  std::memcpy(&size, static_cast<const char*>(memory) - kHeader, sizeof size);
  return size;
}

void release(void* memory) {
  if (memory == nullptr) return;
  *memory_of_running -= size_of(memory);
  std::free(static_cast<char*>(memory) - kHeader);
}

void* reallocate(void* memory, size_t size) {
  if (memory == nullptr) return allocate(size);
  void* const moved = allocate(size);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, memory, std::min(size_of(memory), size));
  release(memory);
  return moved;
}

}  // namespace

XmlParser::XmlParser() { make(); }

void XmlParser::make() {
  const Running running(memory_);
  const XML_Memory_Handling_Suite allocator{allocate, reallocate, release};
  parser_ = XML_ParserCreate_MM("UTF-8", &allocator, nullptr);
  CHECK(parser_ != nullptr);
}

XmlParser::~XmlParser() {
  const Running running(memory_);
  XML_ParserFree(parser_);
}

// A reset parser keeps its memory, and one at the limit could read nothing.
void XmlParser::begin(const char* encoding) {
  constexpr size_t kMaxKept = size_t{128} * 1024;
  if (memory_ > kMaxKept) {
    {
      const Running running(memory_);
      XML_ParserFree(parser_);
    }
    make();
  }
  const Running running(memory_);
  CHECK(XML_ParserReset(parser_, encoding) == XML_TRUE);
}

bool XmlParser::parse(std::string_view text, Part part) {
  const Running running(memory_);
  return XML_Parse(parser_, text.data(), static_cast<int>(text.size()),
                   part == Part::last ? XML_TRUE : XML_FALSE) == XML_STATUS_OK;
}

}  // namespace streamgate
