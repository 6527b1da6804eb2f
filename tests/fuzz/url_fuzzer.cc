// Runs every function of common/url on any text. Input: a base, a newline, a reference.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/url.h"

namespace streamgate {
namespace {

bool is_clean(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) return false;
    if (std::string_view("\"<>\\^`{|}").find(c) != std::string_view::npos) return false;
  }
  return true;
}

void check_http_url(std::string_view text) {
  const Result<HttpUrl> url = parse_http_url(text);
  if (!url) {
    CHECK(url.error().reason == Reason::bad_url);
    return;
  }
  CHECK(!url->host.empty() && url->host.size() <= 253 && url->port != 0);
  CHECK(url->path_and_query.front() == '/');
  CHECK(is_clean(url->to_string()));
  CHECK(url->path_and_query.find('#') == std::string::npos);
  const Result<HttpUrl> again = parse_http_url(url->to_string());
  CHECK(again && *again == *url);
}

}  // namespace
}  // namespace streamgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace streamgate;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const size_t newline = text.find('\n');
  const std::string_view base = text.substr(0, newline);
  const std::string_view reference =
      newline == text.npos ? std::string_view() : text.substr(newline + 1);

  std::string absolute;
  resolve_reference(split_uri(base), reference, absolute);
  CHECK(is_clean(absolute));
  std::string encoded;
  percent_encode(text, encoded);
  CHECK(percent_decode(encoded) == text);
  CHECK(percent_decode(text).size() <= text.size());
  check_http_url(base);
  check_http_url(reference);
  check_http_url(absolute);
  return 0;
}
