#include "worker/fetch/target_guard.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/corpus_index.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

IpAddress ip(const std::string& text) {
  const auto address = IpAddress::parse(text);
  EXPECT_TRUE(address.has_value()) << text;
  return address.value_or(IpAddress{});
}

SocketAddress at(const std::string& address, uint16_t port = 80) { return {ip(address), port}; }

HttpUrl url_of(const std::string& host, uint16_t port = 80) {
  HttpUrl url;
  url.host = host;
  const auto address = IpAddress::parse(host);
  url.host_is_ipv4 = address && address->is_v4;
  url.host_is_ipv6 = address && !address->is_v4;
  url.port = port;
  url.path_and_query = "/";
  return url;
}

TargetPattern pattern(const std::string& text) { return *TargetPattern::parse(text); }
IpRange range(const std::string& text) { return *IpRange::parse(text); }

bool allows_name(const SecurityConfig& config, const std::string& host, uint16_t port = 80) {
  return TargetGuard(config, {}).check_name(url_of(host, port)).has_value();
}

bool allows_address(const SecurityConfig& config, const std::string& address, uint16_t port = 80,
                    const std::string& host = "a.test") {
  return TargetGuard(config, {}).check_address(url_of(host, port), at(address, port)).has_value();
}

TEST(TargetGuard, OnlyPublicUnicastAddressesArePublic) {
  for (const char* address :
       {"1.2.3.4",         "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",     "126.255.255.255", "128.0.0.0",       "169.253.255.255",
        "169.255.0.0",     "172.15.255.255",  "172.32.0.0",      "192.0.1.0",
        "192.0.3.0",       "192.88.98.255",   "192.88.100.0",    "192.167.255.255",
        "192.169.0.0",     "198.17.255.255",  "198.20.0.0",      "203.0.112.255",
        "203.0.114.0",     "223.255.255.255", "168.63.129.15",   "2000::1",
        "2606:4700::1111", "2001:200::1",     "2001:db7:ffff::", "2001:db9::",
        "2003::1",         "3fff:1000::1",    "2a00::1:5efe:0:1"}) {
    EXPECT_TRUE(is_public_address(ip(address))) << address;
  }
  for (const char* address :
       {"0.0.0.0",         "0.1.2.3",         "10.0.0.0",        "10.255.255.255",
        "100.64.0.0",      "100.100.100.200", "100.127.255.255", "127.0.0.1",
        "127.255.255.255", "168.63.129.16",   "169.254.169.254", "172.16.0.1",
        "172.31.255.255",  "192.0.0.1",       "192.0.2.1",       "192.88.99.1",
        "192.168.0.1",     "198.18.0.1",      "198.19.255.255",  "198.51.100.1",
        "203.0.113.1",     "224.0.0.1",       "239.255.255.255", "240.0.0.1",
        "255.255.255.255"}) {
    EXPECT_FALSE(is_public_address(ip(address))) << address;
  }
  for (const char* address : {"::",
                              "::1",
                              "::7f00:1",
                              "::ffff:127.0.0.1",
                              "::ffff:8.8.8.8",
                              "::ffff:0:8.8.8.8",
                              "64:ff9b::8.8.8.8",
                              "64:ff9b:1::1",
                              "100::1",
                              "1fff::1",
                              "2001::1",
                              "2001:0:1::1",
                              "2001:10::1",
                              "2001:1ff:ffff::",
                              "2001:db8::1",
                              "2002:808:808::1",
                              "3fff::1",
                              "3fff:fff::1",
                              "4000::1",
                              "5f00::1",
                              "fc00::1",
                              "fd12::1",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1",
                              "2606:4700::5efe:7f00:1",
                              "2606:4700::200:5efe:808:808"}) {
    EXPECT_FALSE(is_public_address(ip(address))) << address;
  }
}

TEST(TargetGuard, NamesOfThisMachineAreRefusedBeforeDns) {
  const SecurityConfig config;
  for (const char* host : {"localhost", "x.localhost", "printer.local", "metadata.google.internal",
                           "a.localdomain", "intranet", "ip6-loopback"}) {
    EXPECT_FALSE(allows_name(config, host)) << host;
  }
  for (const char* host :
       {"a.test", "localhost.example.com", "notlocal.example", "1.2.3.4", "::1"}) {
    EXPECT_TRUE(allows_name(config, host)) << host;  // a literal is checked as an address
  }
}

TEST(TargetGuard, TheConfigurationCanOpenNamesOfThisMachine) {
  SecurityConfig all;
  all.allow_all_private = true;
  EXPECT_TRUE(allows_name(all, "localhost"));
  SecurityConfig by_range;
  by_range.allow_private = {range("127.0.0.1:8081")};
  EXPECT_TRUE(allows_name(by_range, "localhost"));
  SecurityConfig by_name;
  by_name.allow = {pattern("intranet")};
  EXPECT_TRUE(allows_name(by_name, "intranet"));
  EXPECT_FALSE(allows_name(by_name, "localhost"));
  EXPECT_FALSE(allows_address(by_name, "10.0.0.1", 80, "intranet"));  // its address is not open
  SecurityConfig by_port;
  by_port.allow = {pattern("*:80")};
  EXPECT_FALSE(allows_name(by_port, "localhost"));
}

TEST(TargetGuard, AllowPrivateOpensExactlyItsRanges) {
  SecurityConfig config;
  config.allow_private = {range("127.0.0.0/8"), range("10.1.0.0/16"), range("192.168.1.1:8081"),
                          range("[fd00::1]:8081"), range("::1")};
  EXPECT_TRUE(allows_address(config, "127.3.2.1", 9999));
  EXPECT_TRUE(allows_address(config, "10.1.255.255"));
  EXPECT_FALSE(allows_address(config, "10.2.0.0"));
  EXPECT_TRUE(allows_address(config, "192.168.1.1", 8081));
  EXPECT_FALSE(allows_address(config, "192.168.1.1", 8082));
  EXPECT_TRUE(allows_address(config, "fd00::1", 8081));
  EXPECT_FALSE(allows_address(config, "fd00::1", 80));
  EXPECT_TRUE(allows_address(config, "::1"));
  EXPECT_TRUE(allows_address(config, "8.8.8.8"));  // public targets stay open
}

TEST(TargetGuard, AnOpenedAddressDoesNotOpenTheFormsThatEmbedIt) {
  SecurityConfig config;
  config.allow_private = {range("127.0.0.0/8"), range("10.0.0.0/8")};
  for (const char* address : {"::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1",
                              "64:ff9b::127.0.0.1", "2002:7f00:1::1", "2606:4700::5efe:7f00:1"}) {
    EXPECT_FALSE(allows_address(config, address)) << address;
  }
}

TEST(TargetGuard, AnOpenedGatewayBlockStillChecksTheInnerAddress) {
  SecurityConfig config;
  config.allow_private = {range("64:ff9b::/96"), range("2002::/16")};
  EXPECT_TRUE(allows_address(config, "64:ff9b::8.8.8.8"));
  EXPECT_TRUE(allows_address(config, "2002:808:808::1"));
  EXPECT_FALSE(allows_address(config, "64:ff9b::10.0.0.1"));
  EXPECT_FALSE(allows_address(config, "64:ff9b::0.0.0.0"));
  EXPECT_FALSE(allows_address(config, "2002:a00:1::1"));
  config.allow_private.push_back(range("10.0.0.0/8"));
  EXPECT_TRUE(allows_address(config, "64:ff9b::10.0.0.1"));
}

TEST(TargetGuard, MulticastUnspecifiedAndV4MappedCannotBeOpened) {
  SecurityConfig all;
  all.allow_all_private = true;
  all.allow_private = {range("0.0.0.0/0"), range("::/0")};
  for (const char* address : {"0.0.0.0", "0.0.0.1", "224.0.0.1", "255.255.255.255", "::", "ff02::1",
                              "::ffff:127.0.0.1", "::ffff:8.8.8.8"}) {
    EXPECT_FALSE(allows_address(all, address)) << address;
  }
  for (const char* address : {"127.0.0.1", "10.0.0.1", "169.254.169.254", "fe80::1", "::1"}) {
    EXPECT_TRUE(allows_address(all, address)) << address;
  }
}

TEST(TargetGuard, ANonEmptyAllowListIsExclusive) {
  SecurityConfig config;
  config.allow = {pattern("*.example.com"), pattern("one.test:8080"), pattern("1.2.3.0/24")};
  EXPECT_TRUE(allows_address(config, "8.8.8.8", 80, "a.example.com"));
  EXPECT_FALSE(allows_address(config, "8.8.8.8", 80, "example.com"));
  EXPECT_TRUE(allows_address(config, "8.8.8.8", 8080, "one.test"));
  EXPECT_FALSE(allows_address(config, "8.8.8.8", 80, "one.test"));
  EXPECT_TRUE(allows_address(config, "1.2.3.4", 80, "other.test"));
  EXPECT_FALSE(allows_address(config, "127.0.0.1", 80, "a.example.com"));  // private stays private
  EXPECT_TRUE(allows_name(config, "other.test"));  // the range may allow its address
  config.allow.pop_back();
  EXPECT_FALSE(allows_name(config, "other.test"));
  EXPECT_TRUE(allows_name(config, "a.example.com"));
}

TEST(TargetGuard, DenyWinsOverAllow) {
  SecurityConfig config;
  config.allow = {pattern("*.example.com"), pattern("1.2.0.0/16")};
  config.deny = {pattern("bad.example.com"), pattern("1.2.3.0/24"), pattern("*:25")};
  EXPECT_FALSE(allows_name(config, "bad.example.com"));
  EXPECT_TRUE(allows_name(config, "good.example.com"));
  EXPECT_FALSE(allows_name(config, "good.example.com", 25));
  EXPECT_FALSE(allows_address(config, "1.2.3.4", 80, "good.example.com"));
  EXPECT_TRUE(allows_address(config, "1.2.4.4", 80, "good.example.com"));
}

TEST(TargetGuard, OurOwnAddressIsALoopAlsoIfPrivateTargetsAreAllowed) {
  SecurityConfig config;
  config.allow_all_private = true;
  const TargetGuard guard(config, {{at("127.0.0.1", 8080), at("198.51.100.7", 8080),
                                    at("::1", 8080), *SocketAddress::parse("unix:/run/x")}});
  const auto reason_for = [&](const std::string& address, uint16_t port) {
    const auto checked = guard.check_address(url_of("a.test", port), at(address, port));
    return checked ? Reason::internal : checked.error().reason;
  };
  EXPECT_EQ(reason_for("127.0.0.1", 8080), Reason::loop);
  EXPECT_EQ(reason_for("127.9.9.9", 8080), Reason::loop);
  EXPECT_EQ(reason_for("198.51.100.7", 8080), Reason::loop);
  EXPECT_EQ(reason_for("::1", 8080), Reason::loop);
  EXPECT_EQ(reason_for("127.0.0.1", 8081), Reason::internal);  // allowed
  EXPECT_EQ(reason_for("198.51.100.8", 8080), Reason::internal);
  EXPECT_EQ(reason_for("::ffff:127.0.0.1", 8080), Reason::target_forbidden);
}

TEST(TargetGuard, HostAndPortOfThePublicUrlAreALoop) {
  SecurityConfig config;
  config.allow_all_private = true;
  const auto is_loop = [&](std::string_view public_url, const std::string& target) {
    const TargetGuard guard(config, {{}, public_url});
    const auto checked = guard.check_name(parse_http_url(target).value());
    return !checked && checked.error().reason == Reason::loop;
  };
  EXPECT_TRUE(is_loop("https://tv.example/sub", "https://TV.example./v.m3u8"));
  EXPECT_TRUE(is_loop("https://tv.example/sub", "http://tv.example:443/"));
  EXPECT_FALSE(is_loop("https://tv.example/sub", "http://tv.example/"));  // port 80
  EXPECT_FALSE(is_loop("https://tv.example/sub", "https://a.tv.example/"));
  EXPECT_TRUE(is_loop("http://tv.example:8080", "http://tv.example:8080/"));
  EXPECT_FALSE(is_loop("http://tv.example:8080", "http://tv.example/"));
  EXPECT_TRUE(is_loop("http://[2001:0::1]", "http://[2001::1]:80/"));
  EXPECT_FALSE(is_loop("", "http://tv.example/"));
}

// Whether the guard refuses a URL, without DNS: a name counts as one that resolves to a public
// address.
bool is_refused(const Result<HttpUrl>& url) {
  const SecurityConfig config;
  const TargetGuard guard(config, {});
  if (!url || !guard.check_name(*url)) return true;
  const auto literal = IpAddress::parse(url->host);
  return literal && !guard.check_address(*url, SocketAddress(*literal, url->port));
}

// As a link may spell it.
Result<HttpUrl> read_link(const std::string& text) {
  auto url = parse_upstream_url(text);
  if (!url) return url.error();
  return std::move(url->url);
}

void check_targets(const std::string& corpus) {
  int checked = 0;
  for (const testing_corpus::Row& row : testing_corpus::read_targets(corpus)) {
    if (row.at("expected") == "either") continue;
    ++checked;
    const bool is_blocked = row.at("expected") == "block";
    const bool is_for_links = testing_corpus::cell(row, "spelling") == "browser";
    EXPECT_EQ(is_refused(is_for_links ? read_link(row.at("url")) : parse_http_url(row.at("url"))),
              is_blocked)
        << row.at("line");
  }
  EXPECT_GT(checked, 0);
}

TEST(TargetGuard, AllowsAndRefusesTheTargetsOfTheOwnCorpus) {
  check_targets(testing_corpus::kOwnCorpus);
}

TEST(TargetGuard, AllowsAndRefusesTheTargetsOfTheExternalCorpus) {
  const std::string corpus = testing_corpus::external_corpus();
  if (corpus.empty()) GTEST_SKIP() << testing_corpus::kNoExternalCorpus;
  check_targets(corpus);
}

TEST(TargetGuard, PortsThatBrowsersRefuseNeedTheListOfPorts) {
  for (const int number : {1, 22, 25, 6000, 6667, 10080}) {
    const auto port = static_cast<uint16_t>(number);
    const auto refused = TargetGuard({}, {}).check_name(url_of("a.test", port));
    ASSERT_FALSE(refused) << port;
    EXPECT_EQ(refused.error().reason, Reason::port_forbidden);
    const auto literal =
        TargetGuard({}, {}).check_address(url_of("1.2.3.4", port), at("1.2.3.4", port));
    ASSERT_FALSE(literal) << port;
    EXPECT_EQ(literal.error().reason, Reason::port_forbidden);

    SecurityConfig config;
    config.allow_all_private = true;
    config.allow = {pattern("a.test:" + std::to_string(port)), pattern("127.0.0.1")};
    EXPECT_FALSE(allows_name(config, "a.test", port));
    EXPECT_FALSE(allows_address(config, "127.0.0.1", port));
    config.ports = {8080};
    EXPECT_FALSE(allows_name(config, "a.test", port));
    config.ports = {port};
    EXPECT_TRUE(allows_name(config, "a.test", port));
    EXPECT_TRUE(allows_address(config, "127.0.0.1", port));
    config.deny = {pattern("a.test")};
    EXPECT_FALSE(allows_name(config, "a.test", port));
  }
  for (const int port : {80, 443, 8080, 6001, 6664, 65535}) {
    EXPECT_TRUE(allows_name({}, "a.test", static_cast<uint16_t>(port))) << port;
  }
}

TEST(TargetGuard, AForbiddenTargetIsNamedBeforeItsPort) {
  const auto refused = TargetGuard({}, {}).check_address(url_of("10.0.0.1", 9), at("10.0.0.1", 9));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::target_forbidden);
}

// `allow_private: true` opens every private address except those of the admin listener.
TEST(TargetGuard, TheAdminListenerIsNoTarget) {
  SecurityConfig config;
  config.allow_all_private = true;
  const auto check = [&](const char* own, const char* address, uint16_t port) {
    const TargetGuard guard(config, {.admin = {at(own, 9090)}});
    const auto checked = guard.check_address(url_of("a.test", port), at(address, port));
    return checked ? std::string_view("ok") : token_of(checked.error().reason);
  };
  EXPECT_EQ("target_forbidden", check("127.0.0.1", "127.0.0.1", 9090));
  EXPECT_EQ("target_forbidden", check("127.0.0.1", "127.9.9.9", 9090));
  EXPECT_EQ("target_forbidden", check("::1", "::1", 9090));
  EXPECT_EQ("target_forbidden", check("10.0.0.1", "10.0.0.1", 9090));
  EXPECT_EQ("ok", check("127.0.0.1", "127.0.0.1", 9091));
  EXPECT_EQ("ok", check("10.0.0.1", "10.0.0.2", 9090));
}

}  // namespace
}  // namespace streamgate
