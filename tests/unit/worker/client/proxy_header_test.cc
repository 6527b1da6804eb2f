#include "worker/client/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kVersion1 = "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n";
const std::string kVersion2 = kSignature + "\x21\x11\0\x0f"s + "\xc0\0\x02\x01\xc6\x33\x64\x01"s +
                              "\x12\x67\x01\xbb"s + "\x04\0\0"s;

std::string client_of(const std::string& bytes) {
  const auto header = parse_proxy_header(bytes);
  if (!header) return "malformed";
  if (header->size == 0) return "incomplete";
  return header->client ? header->client->to_string() : "itself";
}

TEST(ProxyHeader, SizeLeavesOutTheBytesBehindTheHeader) {
  for (const std::string& header : {kVersion1, kVersion2}) {
    EXPECT_EQ("192.0.2.1:4711", client_of(header));
    EXPECT_EQ(header.size(), parse_proxy_header(header + "GET / HTTP/1.1\r\n")->size);
  }
}

TEST(ProxyHeader, IsIncompleteAtEachByteBeforeItsEnd) {
  for (const std::string& header :
       {kVersion1, kVersion2, "PROXY UNKNOWN\r\n"s, kSignature + "\x20\0\0\0"s}) {
    for (size_t size = 0; size < header.size(); ++size) {
      EXPECT_EQ("incomplete", client_of(header.substr(0, size))) << size;
    }
    EXPECT_NE("incomplete", client_of(header));
  }
}

TEST(ProxyHeader, IsRejectedAtTheFirstByteThatCannotBelong) {
  for (const std::string& bytes : {"G"s, "PROXX"s, "proxy"s, "\r\n\r\nx"s, "\n"s, "PROXY\t"s}) {
    EXPECT_EQ("malformed", client_of(bytes)) << bytes;
  }
}

TEST(ProxyHeader, LengthsAreBounded) {
  const std::string unknown = "PROXY UNKNOWN ";
  EXPECT_EQ("itself", client_of(unknown + std::string(105 - unknown.size(), 'x') + "\r\n"));
  EXPECT_EQ("malformed", client_of(unknown + std::string(106 - unknown.size(), 'x') + "\r\n"));
  EXPECT_EQ("malformed", client_of(unknown + std::string(107 - unknown.size(), 'x')));
  const std::string largest = kSignature + "\x21\x11\x0f\xf0"s;  // 4,080 and the 16 before
  EXPECT_EQ("incomplete", client_of(largest));
  EXPECT_EQ("0.0.0.0:0", client_of(largest + std::string(4080, '\0')));
  EXPECT_EQ("malformed", client_of(kSignature + "\x21\x11\x0f\xf1"s));
}

TEST(ProxyHeader, LocalAndForeignProtocolsKeepThePeer) {
  const std::string addresses(216, 'x');
  EXPECT_EQ("itself", client_of(kSignature + "\x20\x11\0\x0c"s + addresses));  // LOCAL
  EXPECT_EQ("itself", client_of(kSignature + "\x20\0\0\0"s));
  EXPECT_EQ("itself", client_of(kSignature + "\x21\0\0\0"s));                  // UNSPEC
  EXPECT_EQ("itself", client_of(kSignature + "\x21\x12\0\x0c"s + addresses));  // UDP
  EXPECT_EQ("itself", client_of(kSignature + "\x21\x31\0\xd8"s + addresses));  // Unix
}

TEST(ProxyHeader, AMappedAddressIsTheIpv4Address) {
  EXPECT_EQ("192.0.2.1:4711", client_of("PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n"));
  EXPECT_EQ("[2001:db8::7]:4711", client_of("PROXY TCP6 2001:db8::7 ::1 4711 443\r\n"));
}

}  // namespace
}  // namespace streamgate
