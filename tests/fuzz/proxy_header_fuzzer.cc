// A PROXY protocol header is accepted, rejected or incomplete in the same way, however the network
// splits its bytes, and bytes behind it change nothing. The same bytes as the headers Forwarded and
// X-Forwarded-For must not reach beyond their end.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "worker/client/client_address.h"
#include "worker/client/proxy_header.h"

namespace {

using namespace streamgate;

void check_header(std::string_view bytes) {
  for (size_t size = 0; size <= bytes.size() && size <= kMaxProxyHeaderBytes + 1; ++size) {
    const auto header = parse_proxy_header(bytes.substr(0, size));
    if (!header) return;
    if (header->size == 0) {
      CHECK(size < kMaxProxyHeaderBytes);
      continue;
    }
    CHECK(header->size == size);  // accepted at its last byte
    const auto whole = parse_proxy_header(bytes);
    CHECK(whole && whole->size == size && whole->client == header->client);
    CHECK(!header->client || header->client->is_ip());
    return;
  }
}

void check_client(std::string_view value, ClientAddress header, std::string_view name) {
  static const std::vector<IpRange> kTrusted{*IpRange::parse("10.0.0.0/8")};
  static const SocketAddress kPeer(*IpAddress::parse("10.0.0.1"), 1);
  const HeaderFields fields{{name, value}};
  CHECK(client_address(fields, header, kPeer, kTrusted).is_ip());
  // The proxy's own element wins.
  const std::string appended =
      std::string(value) + ", " + (header == ClientAddress::forwarded ? "for=" : "") + "192.0.2.1";
  const HeaderFields more{{name, appended}};
  CHECK(text_of_client(client_address(more, header, kPeer, kTrusted)) == "192.0.2.1");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_header(bytes);
  check_client(bytes, ClientAddress::forwarded, "Forwarded");
  check_client(bytes, ClientAddress::x_forwarded_for, "X-Forwarded-For");
  return 0;
}
