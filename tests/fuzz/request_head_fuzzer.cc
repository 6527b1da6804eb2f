// The outcome of a request head must not depend on how the network splits its bytes, and an
// accepted head must keep the guarantees of request_head_parser.h.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "worker/http/request_head_parser.h"

namespace {

using streamgate::LimitsConfig;
using streamgate::RequestHeadParser;

constexpr size_t kMaxSizeByteByByte = 8192;

void check_accepted(const RequestHeadParser& parser, size_t size, std::string_view bytes) {
  CHECK(size <= bytes.size() && bytes.substr(0, size).ends_with("\r\n\r\n"));
  const auto& head = parser.head();
  CHECK(head.target.starts_with('/') || head.target == "*");
  CHECK(head.target.find_first_of("# \t\r\n") == std::string_view::npos);
  CHECK(head.minor_version == 0 || find_field(head.fields, "Host").has_value());
  CHECK(!find_field(head.fields, "Content-Length"));
  CHECK(!find_field(head.fields, "Transfer-Encoding"));
  for (const auto& [name, value] : head.fields) {
    CHECK(!name.empty());
    CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
}

std::string outcome_of(std::string_view bytes, const std::vector<size_t>& ends) {
  static const LimitsConfig kLimits = [] {
    LimitsConfig limits;
    limits.request_line = 200;  // small, so that the fuzzer finds the edges
    limits.request_head = 600;
    return limits;
  }();
  RequestHeadParser parser(kLimits);
  for (const size_t end : ends) {
    const std::string received(bytes.substr(0, end));
    const auto size = parser.parse(received);
    if (!size) {
      const int status = streamgate::status_for(size.error().reason);
      CHECK(status >= 400 && status <= 599);
      return "refuse " + std::string(token_of(size.error().reason));
    }
    if (*size == 0) continue;
    check_accepted(parser, *size, received);
    std::string text = "accept " + std::to_string(*size) + std::string(parser.head().target);
    for (const auto& [name, value] : parser.head().fields) {
      text += "\n" + std::string(name) + ":" + std::string(value);
    }
    return text;
  }
  return parser.started() ? "wait" : "idle";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = outcome_of(bytes, {size});
  CHECK(outcome_of(bytes, {size / 3, size / 2, size}) == whole);
  if (size > kMaxSizeByteByByte) return 0;
  std::vector<size_t> every;
  for (size_t end = 0; end <= size; ++end) every.push_back(end);
  CHECK(outcome_of(bytes, every) == whole);
  return 0;
}
