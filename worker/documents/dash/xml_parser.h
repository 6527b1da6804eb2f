// An expat parser with a limit on its memory. Expat keeps the name of each element and attribute
// that it has seen, so a document without a limit could take all memory.
#pragma once

#include <expat.h>

#include <cstddef>
#include <memory>
#include <string_view>

namespace streamgate {

class XmlParser {
 public:
  static constexpr size_t kMaxMemory = size_t{3} * 1024 * 1024;

  XmlParser();
  ~XmlParser();
  XmlParser(const XmlParser&) = delete;
  XmlParser& operator=(const XmlParser&) = delete;

  // First call for each document, in this encoding; the handlers are removed.
  void begin(const char* encoding);
  // Valid until the next begin().
  XML_Parser get() const { return parser_; }
  size_t memory() const { return memory_; }

  enum class Part { more, last };
  // False if the document is not well-formed, or a handler has stopped the parser.
  bool parse(std::string_view text, Part part);

 private:
  void make();

  size_t memory_ = 0;
  XML_Parser parser_ = nullptr;
};

}  // namespace streamgate
