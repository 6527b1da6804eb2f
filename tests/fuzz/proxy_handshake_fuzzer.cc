// The outcome of a handshake with a proxy must not depend on how the network splits the proxy's
// bytes. The first byte of the input chooses the proxy.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "worker/upstream/proxy_handshake.h"

namespace {

using streamgate::ProxyAddress;
using streamgate::ProxyHandshake;

constexpr size_t kMaxSize = 65'536;

std::string outcome_of(const ProxyAddress& proxy, std::string_view bytes, size_t piece) {
  const auto handshake = ProxyHandshake::make(proxy, {"tv.example", 8080});
  std::string outcome;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    outcome += handshake->to_send();
    handshake->sent(handshake->to_send().size());
    const auto received = handshake->receive(bytes.substr(at, piece));
    if (!received) return outcome + "\n" + received.error().detail;
    if (handshake->is_done()) {
      CHECK(handshake->to_send().empty());
      return outcome + "\ndone";
    }
  }
  return outcome + "\nmore";
}

// Bytes that follow an answer are a failure only if they come with it.
bool differs_by_later_bytes(const std::string& whole) {
  return whole.find("bytes after the answer") != std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > kMaxSize) return 0;
  constexpr const char* kProxies[] = {"http://p:1", "http://u:p@p:1", "socks5://p:1",
                                      "socks5h://u:p@p:1"};
  const auto proxy = ProxyAddress::parse(kProxies[data[0] % 4]);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = outcome_of(*proxy, bytes, size);
  if (differs_by_later_bytes(whole)) return 0;
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}}) {
    const std::string pieces = outcome_of(*proxy, bytes, piece);
    CHECK(pieces == whole || differs_by_later_bytes(pieces));
  }
  return 0;
}
