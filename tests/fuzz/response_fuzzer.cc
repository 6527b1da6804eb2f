// The outcome of an upstream's response must not depend on how the network splits its bytes. The
// first byte of the input chooses the method of the request.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "worker/http/response_parser.h"

namespace {

using streamgate::Framing;
using streamgate::Method;
using streamgate::ResponseParser;
using ItemKind = streamgate::ResponseParser::ItemKind;

constexpr size_t kMaxSizeByteByByte = 16'384;

// Takes all items of `bytes`; true if the parser wants more bytes.
bool pull(ResponseParser& parser, std::string_view bytes, std::string& outcome) {
  while (true) {
    const auto item = parser.next(bytes);
    if (!item) {
      outcome += "\n" + std::string(token_of(item.error().reason));
      return false;
    }
    switch (item->kind) {
      case ItemKind::need_more:
        CHECK(bytes.empty());
        return true;
      case ItemKind::head:
        outcome += "head " + std::to_string(parser.head().status) + "\n";
        break;
      case ItemKind::body:
        CHECK(!item->body.empty() && parser.head().framing != Framing::none);
        outcome += item->body;
        break;
      case ItemKind::end:
        outcome += "\nend";
        return false;
    }
  }
}

std::string outcome_of(std::string_view bytes, const std::vector<size_t>& ends, Method method) {
  ResponseParser parser;
  parser.reset(method);
  std::string outcome;
  size_t begin = 0;
  for (const size_t end : ends) {
    const std::string piece(bytes.substr(begin, end - begin));
    begin = end;
    if (!pull(parser, piece, outcome)) break;
  }
  const auto last = parser.finish();
  outcome += last ? "\nclosed" : "\n" + std::string(token_of(last.error().reason));
  const auto& head = parser.head();
  for (const auto& [name, value] : head.fields) {
    outcome += "\n" + std::string(name) + ":" + std::string(value);
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Method method = data[0] == 'H' ? Method::head : Method::get;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = outcome_of(bytes, {bytes.size()}, method);
  CHECK(outcome_of(bytes, {bytes.size() / 3, bytes.size() / 2, bytes.size()}, method) == whole);
  if (size > kMaxSizeByteByByte) return 0;
  std::vector<size_t> every;
  for (size_t end = 0; end <= bytes.size(); ++end) every.push_back(end);
  CHECK(outcome_of(bytes, every, method) == whole);
  return 0;
}
