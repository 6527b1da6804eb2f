#include "worker/upstream/proxy_handshake.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

using namespace std::string_literals;

struct Message {
  std::string expected;  // what the handshake sends
  std::string answer;
};

// Plays the messages; each answer comes in pieces of `piece` bytes. Returns `done`, `more` or the
// detail of the failure.
std::string play(const std::string& proxy, const TunnelTarget& target,
                 const std::vector<Message>& messages, size_t piece) {
  const auto address = ProxyAddress::parse(proxy);
  EXPECT_TRUE(address.has_value()) << proxy;
  const auto handshake = ProxyHandshake::make(*address, target);
  for (const auto& [expected, answer] : messages) {
    EXPECT_EQ(handshake->to_send(), expected);
    handshake->sent(handshake->to_send().size());
    for (size_t at = 0; at < answer.size(); at += piece) {
      EXPECT_FALSE(handshake->is_done());
      const auto received = handshake->receive(std::string_view(answer).substr(at, piece));
      if (!received) {
        EXPECT_EQ(received.error().reason, Reason::proxy_failed);
        return received.error().detail + (handshake->is_about_target() ? " (target)" : "");
      }
    }
  }
  return handshake->is_done() ? "done" : "more";
}

void expect_at_every_split(const std::string& outcome, const std::string& proxy,
                           const TunnelTarget& target, const std::vector<Message>& messages) {
  for (size_t piece = 1; piece <= 64; ++piece) {
    EXPECT_EQ(play(proxy, target, messages, piece), outcome) << piece;
  }
}

const TunnelTarget kName{"tv.example", 8080};

TEST(ProxyHandshake, ConnectNamesTheTarget) {
  expect_at_every_split("done", "http://p:1", kName,
                        {{"CONNECT tv.example:8080 HTTP/1.1\r\nHost: tv.example:8080\r\n\r\n",
                          "HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n"}});
  expect_at_every_split("done", "http://u:p@p:1", {"2001:db8::1", 443},
                        {{"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
                          "Proxy-Authorization: Basic dTpw\r\n\r\n",
                          "HTTP/1.0 299 x\n\n"}});
}

TEST(ProxyHandshake, ConnectFailsWithTheStatus) {
  const std::string request = "CONNECT tv.example:8080 HTTP/1.1\r\nHost: tv.example:8080\r\n\r\n";
  expect_at_every_split("CONNECT: 503 Service Unavailable (target)", "http://p:1", kName,
                        {{request, "HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\n"}});
  expect_at_every_split("407: the proxy asks for a user and a password", "http://p:1", kName,
                        {{request, "HTTP/1.1 407 x\r\n\r\n"}});
  expect_at_every_split("more", "http://p:1", kName, {{request, "HTTP/1.1 200 OK\r\nA: b\r\n"}});
}

TEST(ProxyHandshake, BytesBehindTheAnswerAreAFailure) {
  EXPECT_EQ(play("http://p:1", kName,
                 {{"CONNECT tv.example:8080 HTTP/1.1\r\nHost: tv.example:8080\r\n\r\n",
                   "HTTP/1.1 200 OK\r\n\r\nx"}},
                 999),
            "bytes after the answer to CONNECT");
}

TEST(ProxyHandshake, SocksAsksForANameOrAnAddress) {
  const std::string reply4 = "\5\0\0\1\1\2\3\4\0\x50"s;
  expect_at_every_split("done", "socks5h://p:1", kName,
                        {{"\5\1\0"s, "\5\0"s}, {"\5\1\0\3\x0atv.example\x1f\x90"s, reply4}});
  expect_at_every_split(
      "done", "socks5://p:1", {"192.0.2.1", 80},
      {{"\5\1\0"s, "\5\0"s}, {"\5\1\0\1\xc0\0\2\1\0\x50"s, "\5\0\0\4"s + std::string(18, 'x')}});
  expect_at_every_split(
      "done", "socks5://p:1", {"::1", 443},
      {{"\5\1\0"s, "\5\0"s},
       {"\5\1\0\4"s + std::string(15, '\0') + "\1\1\xbb"s, "\5\0\0\3\3abc\0\1"s}});
}

TEST(ProxyHandshake, SocksSendsUserAndPasswordIfTheProxyWantsThem) {
  const std::string reply = "\5\0\0\1\1\2\3\4\0\x50"s;
  const Message ask{"\5\1\0\3\x0atv.example\x1f\x90"s, reply};
  const std::string proxy = "socks5h://us:pwd@p:1";
  expect_at_every_split("done", proxy, kName,
                        {{"\5\2\0\2"s, "\5\2"s}, {"\1\2us\3pwd"s, "\1\0"s}, ask});
  expect_at_every_split("done", proxy, kName, {{"\5\2\0\2"s, "\5\0"s}, ask});
  expect_at_every_split("SOCKS: the proxy refuses the user or the password", proxy, kName,
                        {{"\5\2\0\2"s, "\5\2"s}, {"\1\2us\3pwd"s, "\1\1"s}});
  expect_at_every_split("SOCKS: the proxy accepts no password", proxy, kName,
                        {{"\5\2\0\2"s, "\5\xff"s}});
}

TEST(ProxyHandshake, SocksFailures) {
  const Message hello{"\5\1\0"s, "\5\0"s};
  const std::string ask = "\5\1\0\3\x0atv.example\x1f\x90"s;
  const std::string proxy = "socks5h://p:1";
  expect_at_every_split("SOCKS: the proxy asks for a user and a password", proxy, kName,
                        {{"\5\1\0"s, "\5\xff"s}});
  expect_at_every_split("SOCKS: the proxy asks for a user and a password", proxy, kName,
                        {{"\5\1\0"s, "\5\2"s}});
  expect_at_every_split("the proxy does not speak SOCKS5", proxy, kName, {{"\5\1\0"s, "\4\0"s}});
  expect_at_every_split("SOCKS: connection refused (5) (target)", proxy, kName,
                        {hello, {ask, "\5\5"s}});
  expect_at_every_split("SOCKS: unknown failure (9) (target)", proxy, kName,
                        {hello, {ask, "\5\x09\0\1"s}});
  expect_at_every_split("SOCKS: unknown type of address in the answer", proxy, kName,
                        {hello, {ask, "\5\0\0\2\0"s}});
  EXPECT_EQ(play(proxy, kName, {hello, {ask, "\5\0\0\1\1\2\3\4\0\x50x"s}}, 99),
            "SOCKS: bytes after the answer");
}

TEST(ProxyHandshake, AnswersWithoutAnEndAreLimited) {
  const auto proxy = ProxyAddress::parse("http://p:1");
  const auto handshake = ProxyHandshake::make(*proxy, kName);
  ASSERT_TRUE(handshake->receive("HTTP/1.1 200 OK\r\n").has_value());
  int lines = 0;
  while (lines < 100'000 && handshake->receive("A: b\r\n")) ++lines;
  EXPECT_LE(lines, 1'000);
}

TEST(ProxyHandshake, AuthorizationIsBase64) {
  const auto value = [](const char* url) { return proxy_authorization(*ProxyAddress::parse(url)); };
  EXPECT_EQ(value("http://p:1"), "");
  EXPECT_EQ(value("http://Aladdin:open%20sesame@p:1"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(value("http://a:b@p:1"), "Basic YTpi");
  EXPECT_EQ(value("http://a:bc@p:1"), "Basic YTpiYw==");
  EXPECT_EQ(value("http://a:%FF%FE%FD%FC@p:1"), "Basic YTr//v38");
}

}  // namespace
}  // namespace streamgate
