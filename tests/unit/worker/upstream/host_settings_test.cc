#include "worker/upstream/host_settings.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

HttpUrl url(const std::string& text) { return parse_http_url(text).value(); }

UpstreamHost row(const std::string& pattern, unsigned timeout_ms) {
  return {.pattern = TargetPattern::parse(pattern).value(),
          .first_byte_timeout = Milliseconds(timeout_ms)};
}

// The time limit for each URL, which names the row that won.
int64_t winner(const std::vector<UpstreamHost>& rows, const std::string& target) {
  UpstreamConfig config;
  config.first_byte_timeout = Milliseconds(1);
  config.hosts = rows;
  HostTable table(config);
  return table.of(url(target)).config.first_byte_timeout.count();
}

TEST(HostTable, TheMostSpecificPatternWins) {
  const std::vector<UpstreamHost> rows{
      row("*:8080", 2),         row("*.example", 3),     row("*.cdn.example", 4),
      row("*.example:8080", 5), row("a.cdn.example", 6), row("a.cdn.example:8080", 7),
      row("10.0.0.0/8", 8),     row("10.1.0.0/16", 9),   row("10.1.0.1", 10)};
  EXPECT_EQ(winner(rows, "http://other.test/"), 1);
  EXPECT_EQ(winner(rows, "http://other.test:8080/"), 2);
  EXPECT_EQ(winner(rows, "http://b.example/"), 3);
  EXPECT_EQ(winner(rows, "http://b.example:8080/"), 5);
  EXPECT_EQ(winner(rows, "http://b.cdn.example:8080/"), 4);
  EXPECT_EQ(winner(rows, "http://a.cdn.example/"), 6);
  EXPECT_EQ(winner(rows, "http://a.cdn.example:8080/"), 7);
  EXPECT_EQ(winner(rows, "http://10.2.0.1/"), 8);
  EXPECT_EQ(winner(rows, "http://10.1.0.2/"), 9);
  EXPECT_EQ(winner(rows, "http://10.1.0.1/"), 10);
  EXPECT_EQ(winner(rows, "http://cdn.example/"), 3);  // a suffix does not match itself
}

TEST(HostTable, FieldsAndHeadersAreMerged) {
  UpstreamConfig config;
  config.hosts = {{.pattern = *TargetPattern::parse("*.example"),
                   .headers = {{"X-A", "suffix"}, {"X-B", "suffix"}},
                   .verify = false,
                   .max_connections = 3},
                  {.pattern = *TargetPattern::parse("a.example"),
                   .headers = {{"x-a", "host"}, {"X-C", "host"}},
                   .proxy = *ProxyAddress::parse("http://p:1"),
                   .max_connections = 5}};
  HostTable table(config);
  const HostSettings& settings = table.of(url("http://a.example/"));
  EXPECT_FALSE(settings.config.tls.verify);
  EXPECT_EQ(settings.config.max_connections, 5U);
  EXPECT_TRUE(settings.uses_proxy());
  const std::vector<std::pair<std::string, std::string>> merged{
      {"x-a", "host"}, {"X-B", "suffix"}, {"X-C", "host"}};
  EXPECT_EQ(settings.headers, merged);
  EXPECT_FALSE(table.of(url("http://b.example/")).uses_proxy());
  EXPECT_TRUE(table.of(url("http://b.test/")).config.tls.verify);
}

TEST(HostTable, EqualMatchesShareTheirSettings) {
  UpstreamConfig config;
  config.hosts = {row("*.example", 2), row("a.example", 3)};
  HostTable table(config);
  EXPECT_EQ(&table.of(url("http://b.example/")), &table.of(url("https://c.example:1/")));
  EXPECT_NE(&table.of(url("http://b.example/")), &table.of(url("http://a.example/")));
  EXPECT_EQ(&table.of(url("http://x.test/")), &table.of(url("http://y.test/")));
}

TEST(HostTable, InsecureHostsAreRowsWithoutVerification) {
  UpstreamConfig config;
  config.tls.insecure_hosts = {
      *TargetPattern::parse("*.lan.test"), *TargetPattern::parse("10.0.0.0/8"),
      *TargetPattern::parse("one.test:8443"), *TargetPattern::parse("two.test")};
  config.hosts = {{.pattern = *TargetPattern::parse("two.test"), .verify = true}};
  HostTable table(config);
  const auto verifies = [&](const char* target) { return table.of(url(target)).config.tls.verify; };
  EXPECT_TRUE(verifies("https://a.test/"));
  EXPECT_TRUE(verifies("https://lan.test/"));
  EXPECT_FALSE(verifies("https://tv.lan.test/"));
  EXPECT_FALSE(verifies("https://10.1.2.3/"));
  EXPECT_TRUE(verifies("https://one.test/"));
  EXPECT_FALSE(verifies("https://one.test:8443/"));
  EXPECT_TRUE(verifies("https://two.test/"));  // the row of `hosts` wins
}

TEST(HostSettings, OnlyHttpThroughAnHttpProxyThatResolvesIsInAbsoluteForm) {
  HostSettings settings;
  const auto absolute = [&](const char* proxy, ResolveNames resolve, const char* target) {
    settings.config.proxy = *ProxyAddress::parse(proxy);
    settings.config.resolve = resolve;
    return settings.sends_absolute_form(url(target));
  };
  EXPECT_TRUE(absolute("http://p:1", ResolveNames::remote, "http://a.test/"));
  EXPECT_FALSE(absolute("http://p:1", ResolveNames::remote, "https://a.test/"));
  EXPECT_FALSE(absolute("http://p:1", ResolveNames::local, "http://a.test/"));
  EXPECT_FALSE(absolute("socks5h://p:1", ResolveNames::remote, "http://a.test/"));
  EXPECT_FALSE(absolute("none", ResolveNames::remote, "http://a.test/"));
}

}  // namespace
}  // namespace streamgate
