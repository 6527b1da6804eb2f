#include "master/config/loader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "master/config/listen.h"
#include "master/config/table.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

using namespace std::chrono_literals;

LoadedConfig load(const std::string& text) { return parse_config(text, "f", {}); }

Config good(const std::string& text) {
  LoadedConfig loaded = load(text);
  for (const std::string& problem : loaded.problems) ADD_FAILURE() << problem;
  return loaded.config;
}

// The only problem of a text; fails unless there is exactly one.
std::string problem_of(const std::string& text) {
  const LoadedConfig loaded = load(text);
  if (loaded.problems.size() == 1) return loaded.problems[0];
  ADD_FAILURE() << loaded.problems.size() << " problems in: " << text;
  return {};
}

void expect_problem(const std::string& text, const std::string& part) {
  const std::string problem = problem_of(text);
  EXPECT_NE(std::string::npos, problem.find(part)) << problem;
}

TEST(ConfigLoader, WithoutAFileTheDefaultsApply) {
  const LoadedConfig loaded = load_config("", {});
  EXPECT_TRUE(loaded.ok());
  EXPECT_EQ(default_config(), loaded.config);
  EXPECT_EQ(default_config(), good(""));
  EXPECT_EQ(default_config(), good("# nothing but a comment\n"));
  EXPECT_EQ(default_config(), good("drain:\nupstream:\n  tls:\n"));
}

TEST(ConfigLoader, ReadsEveryKindOfValue) {
  const Config config = good(R"yaml(
listen: [127.0.0.1:0, "[::]:8080", unix:/run/x.sock]
workers: 3
watchdog_timeout: 1m
drain: { timeout: 500ms, idle: 0s }
upstream:
  max_redirects: 0
  failover_statuses: [404, 500-599]
  reconnect: always
  user_agent: "Player/1.0 (x=1)"
  referer: none
  origin: client
  tls: { verify: false, insecure_hosts: ["*.example.com", 10.0.0.0/8] }
hls: { child_urls: named }
limits: { playlist_line: 2MiB, request_line: 2048B }
log: { level: debug, access: "off" }
)yaml");
  ASSERT_EQ(3U, config.listen.size());
  EXPECT_EQ("unix:/run/x.sock", config.listen[2].address.to_string());
  EXPECT_EQ(3U, config.workers);
  EXPECT_EQ(60s, config.watchdog_timeout);
  EXPECT_EQ(500ms, config.drain.timeout);
  EXPECT_EQ(0U, config.upstream.max_redirects);
  EXPECT_EQ((std::vector<StatusRange>{{404, 404}, {500, 599}}), config.upstream.failover_statuses);
  EXPECT_EQ(Reconnect::always, config.upstream.reconnect);
  EXPECT_EQ((HeaderPolicy{HeaderPolicy::Kind::literal, "Player/1.0 (x=1)"}),
            config.upstream.user_agent);
  EXPECT_EQ(HeaderPolicy::Kind::none, config.upstream.referer.kind);
  EXPECT_EQ(HeaderPolicy::Kind::client, config.upstream.origin.kind);
  EXPECT_FALSE(config.upstream.tls.verify);
  EXPECT_EQ(2U, config.upstream.tls.insecure_hosts.size());
  EXPECT_EQ(HlsConfig::ChildUrls::named, config.hls.child_urls);
  EXPECT_EQ(2048U, config.limits.request_line);
  EXPECT_EQ(size_t{2} * 1024 * 1024, config.limits.playlist_line);
  EXPECT_EQ("off", config.log.access);
}

TEST(ConfigLoader, AListenerMayHaveACertificate) {
  const std::string text =
      "listen: [127.0.0.1:80, {address: '[::1]:443', tls: {certificate: /c.pem, key: '/k y'}}]\n";
  const Config config = good(text);
  ASSERT_EQ(2U, config.listen.size());
  EXPECT_FALSE(config.listen[0].tls);
  ASSERT_TRUE(config.listen[1].tls);
  EXPECT_EQ("[::1]:443", config.listen[1].address.to_string());
  EXPECT_EQ("/c.pem", config.listen[1].tls->certificate);
  EXPECT_EQ("/k y", config.listen[1].tls->key);
  EXPECT_EQ(config, good(print_config(config)));
  EXPECT_EQ(1U, good("listen: {address: 127.0.0.1:80}").listen.size());
}

TEST(ConfigLoader, ReportsEveryMistakeInACertificateEntry) {
  const std::string start = "listen:\n  address: 127.0.0.1:1\n";
  expect_problem(start + "  tls: {certificate: /c}", "f:3: listen.tls: needs a key");
  expect_problem(start + "  tls: {key: /k}", "f:3: listen.tls: needs a certificate");
  expect_problem(start + "  tls:", "f:3: listen.tls: needs a certificate and a key");
  expect_problem(start + "  tls: {certificate: c, key: /k}", "f:3: listen.tls.certificate: ");
  expect_problem(start + "  tls: {certificate: [/c], key: /k}", "takes one value");
  expect_problem(start + "  tls: {certificate: /c, key: /k, ciphers: x}",
                 "f:3: listen.tls.ciphers: is not a known key; tls has certificate and key");
  expect_problem(start + "  ssl: true", "f:3: listen.ssl: is not a known key");
  expect_problem("listen: {tls: {certificate: /c, key: /k}}", "an entry needs an address");
  expect_problem("listen: [{address: 127.0.0.1:1, address: 127.0.0.1:2}]", "is set twice");
  expect_problem("listen: [{address: 0.0.0.0:1}, 127.0.0.1:1]",
                 "0.0.0.0:1 and 127.0.0.1:1 overlap");
}

TEST(ConfigLoader, ReportsEveryProblemWithItsLine) {
  const LoadedConfig loaded = load(
      "workerz: 2\n"
      "upstream:\n"
      "  conect_timeout: 5s\n"
      "  idle_timeout: 30\n"
      "  max_redirects: 21\n"
      "  failover_statuses: [404, 302, 599-500]\n"
      "drain: 5\n"
      "security:\n"
      "  deny: [example.com, 'a b']\n");
  const std::vector<std::string> starts = {
      "f:1: workerz: is not a known key; did you mean workers?",
      "f:3: upstream.conect_timeout: is not a known key; did you mean upstream.connect_timeout?",
      "f:4: upstream.idle_timeout: '30' has no unit",
      "f:5: upstream.max_redirects: 21 is out of range: 0 to 20",
      "f:6: upstream.failover_statuses: '302' is neither",
      "f:6: upstream.failover_statuses: '599-500' is neither",
      "f:7: drain: is a section",
      "f:9: security.deny: 'a b'",
  };
  ASSERT_EQ(starts.size(), loaded.problems.size());
  for (size_t i = 0; i < starts.size(); ++i) {
    EXPECT_TRUE(loaded.problems[i].starts_with(starts[i])) << loaded.problems[i];
  }
}

TEST(ConfigLoader, NamesTheNearestKey) {
  EXPECT_EQ("upstream", nearest_config_key("upsteam"));
  EXPECT_EQ("listen", nearest_config_key("lisen"));
  EXPECT_EQ("upstream.connect_timeout", nearest_config_key("connect_timeout"));
  EXPECT_EQ("upstream.tls.ca_file", nearest_config_key("upstream.ca_file"));
  EXPECT_EQ("", nearest_config_key("zzzzzz"));
  EXPECT_EQ("", nearest_config_key(std::string(100'000, 'a')));
}

TEST(ConfigLoader, AKeyThatIsSetTwiceIsAProblem) {
  expect_problem("workers: 1\nworkers: 2\n", "f:2: workers: is set twice");
  expect_problem("drain: { idle: 1s, idle: 2s }\n", "idle: is set twice");
}

TEST(ConfigLoader, LevelsByEventNeedKnownEventsAndLevels) {
  const Config config =
      parse_config("log: {levels: {access: off, 'dns.*': debug, worker.died: warn}}", "f", {})
          .config;
  const std::vector<EventLevel> expected = {
      {"access", std::nullopt}, {"dns.*", LogLevel::debug}, {"worker.died", LogLevel::warn}};
  EXPECT_EQ(config.log.levels, expected);
  EXPECT_EQ(parse_config(print_config(config), "f", {}).config.log.levels, expected);
  for (const std::string name : {"dns.x", "dn.*", "dns*", "'*'", "dns.", "libevent.*", "Access"}) {
    expect_problem("log:\n  levels:\n    " + name + ": warn", "is neither an event of the log");
  }
  expect_problem("log:\n  levels:\n    dns.gone: warn", "f:3: log.levels.dns.gone: ");
  expect_problem("log:\n  levels:\n    access: loud", "f:3: log.levels.access: needs one of debug");
  expect_problem("log: {levels: [access]}", "log.levels: needs events with levels");
  expect_problem("log: {levels: {access: off, access: warn}}", "is set twice");
}

TEST(ConfigLoader, FieldsOfTheAccessLogAreKnownAndDifferent) {
  const Config config = parse_config("log: {fields: [status, id, user_agent]}", "f", {}).config;
  const std::vector<AccessField> expected = {AccessField::status, AccessField::id,
                                             AccessField::user_agent};
  EXPECT_EQ(config.log.fields, expected);
  EXPECT_EQ(parse_config(print_config(config), "f", {}).config.log.fields, expected);
  expect_problem("log:\n  fields: [id, agent]",
                 "f:2: log.fields: 'agent' is not one of id, client");
  expect_problem("log:\n  fields: [id, ms, id]", "f:2: log.fields: id is listed twice");
  expect_problem("log:\n  fields: []", "f:2: log.fields: needs at least one field");
  expect_problem("log: {format: xml}", "is not one of text, json, combined");
  const auto loaded = parse_config("log:\n  format: combined\n  fields: [id]", "f", {});
  ASSERT_EQ(loaded.warnings.size(), 1U);
  EXPECT_NE(loaded.warnings[0].find("f:3: log.fields: has no effect"), std::string::npos)
      << loaded.warnings[0];
}

TEST(ConfigLoader, ADottedNameIsNotAKey) {
  expect_problem("upstream.connect_timeout: 7s\n", "f:1: upstream.connect_timeout: is not a known");
}

TEST(ConfigLoader, AnAllowedOriginIsAStarOrABareOrigin) {
  using List = std::vector<std::string>;
  EXPECT_EQ(List{"*"}, good("cors: { allow_origin: \"*\" }").cors.allow_origin);
  EXPECT_EQ(List{"https://a.example:8443"},
            good("cors: { allow_origin: https://a.example:8443 }").cors.allow_origin);
  EXPECT_EQ((List{"https://a.example", "http://b.example:3000"}),
            good("cors: { allow_origin: [https://a.example, 'http://b.example:3000'] }")
                .cors.allow_origin);
  expect_problem("cors: { allow_origin: [] }", "f:1: cors.allow_origin: needs * or");
  expect_problem("cors:\n  allow_origin: ['*', https://a.example]",
                 "f:2: cors.allow_origin: * cannot");
  for (const char* text : {"https://a.example/", "a.example", "https://a.example/x", "'null'"}) {
    expect_problem("cors: { allow_origin: " + std::string(text) + " }", "an origin");
  }
}

TEST(ConfigLoader, CredentialsNeedNamedOrigins) {
  EXPECT_TRUE(good("cors: { allow_origin: https://a.example, allow_credentials: true }")
                  .cors.allow_credentials);
  expect_problem("cors:\n  allow_credentials: true",
                 "f:2: cors.allow_credentials: browsers refuse");
}

TEST(ConfigLoader, DurationsAndSizesNeedAUnit) {
  expect_problem("drain: { idle: 5 }", "write a duration as 500ms, 30s, 5m, 2h or 1d");
  expect_problem("drain: { idle: 0 }", "has no unit");
  expect_problem("drain: { idle: 5 s }", "is not valid");
  expect_problem("drain: { idle: -5s }", "is not valid");
  expect_problem("drain: { idle: 1.5s }", "is not valid");
  expect_problem("drain: { idle: 99999999999999999999s }", "is not valid");
  expect_problem("drain: { idle: 9999999999999999d }", "too large");
  expect_problem("limits: { request_line: 16384 }", "write a size as 4096B, 256KiB, 1MiB or 1GiB");
  expect_problem("limits: { request_line: 16KB }", "is not valid");
}

TEST(ConfigLoader, ValuesOutOfRangeAreProblems) {
  expect_problem("workers: 0", "out of range: 1 to 128");
  expect_problem("workers: 129", "out of range");
  expect_problem("workers: many", "is not a whole number");
  expect_problem("watchdog_timeout: 1s", "out of range: 2s to 1h");
  expect_problem("limits: { connections: 18446744073709551615 }", "out of range");
  expect_problem("limits: { request_head: 8KiB }", "less than limits.request_line");
}

TEST(ConfigLoader, AKeyWithoutAValueIsAProblemUnlessItMayBeEmpty) {
  expect_problem("workers:", "workers: needs a value");
  expect_problem("listen:", "listen: needs a list");
  expect_problem("listen: []", "needs at least one address");
  expect_problem("workers: [1]", "takes one value");
  expect_problem("user: ''", "needs a value");
  EXPECT_EQ("", good("pid_file:\npublic_url: ~\n").pid_file);
}

TEST(ConfigLoader, AnOverlapOfAddressesIsAProblemThatNamesBoth) {
  expect_problem("listen: [127.0.0.1:80, 0.0.0.0:80]", "127.0.0.1:80 and 0.0.0.0:80 overlap");
  expect_problem("listen: ['[::1]:80', '[::]:80']", "[::1]:80 and [::]:80 overlap");
  expect_problem("listen: [unix:/a, unix:/a]", "unix:/a and unix:/a overlap");
  expect_problem("listen: localhost:80", "is not an address");
  good("listen: [0.0.0.0:80, '[::]:80', 127.0.0.1:81, 127.0.0.1:0, 127.0.0.1:0]");
}

TEST(ConfigLoader, PrivateTargetsAreAllowedByWordOrList) {
  EXPECT_TRUE(good("security: { allow_private: true }").security.allow_all_private);
  EXPECT_FALSE(good("security: { allow_private: false }").security.allow_all_private);
  const auto listed = good("security: { allow_private: [loopback, 10.0.0.0/8, 127.0.0.1:81] }");
  EXPECT_EQ(loopback_ranges().size() + 2, listed.security.allow_private.size());
  EXPECT_EQ(1U, good("security: { allow_private: 127.0.0.1:8081 }").security.allow_private.size());
  expect_problem("security: { allow_private: [localhost] }", "nor one of the words");
  expect_problem("security: { allow_private: }", "needs a list");
  expect_problem("trusted_proxies: [127.0.0.1:80]", "has a port");
  EXPECT_TRUE(good("trusted_proxies: []").trusted_proxies.empty());
}

TEST(ConfigLoader, AClientAddressFromAHeaderNeedsTrustedProxiesInTheFile) {
  const LoadedConfig ignored = load("workers: 1\nclient_address: forwarded\n");
  EXPECT_TRUE(ignored.ok());
  EXPECT_EQ(ClientAddress::peer, ignored.config.client_address);
  EXPECT_EQ((std::vector<std::string>{
                "f:2: client_address: is ignored, because trusted_proxies is not set"}),
            ignored.warnings);
  const LoadedConfig used = load("trusted_proxies: [10.0.0.1]\nclient_address: x-forwarded-for\n");
  EXPECT_EQ(ClientAddress::x_forwarded_for, used.config.client_address);
  EXPECT_TRUE(used.warnings.empty());
  EXPECT_TRUE(load("client_address: peer\n").warnings.empty());
  expect_problem("client_address: [forwarded, x-forwarded-for]", "takes one value");
  expect_problem("client_address: via", "is not one of peer, x-forwarded-for, forwarded");
}

TEST(ConfigLoader, AnAddressMayHaveTheProxyProtocol) {
  const auto listen = good("listen: [127.0.0.1:1, {address: 127.0.0.1:2, proxy_protocol: true}]");
  EXPECT_FALSE(listen.listen[0].proxy_protocol);
  EXPECT_TRUE(listen.listen[1].proxy_protocol);
  expect_problem("listen: {address: 127.0.0.1:1, proxy_protocol: v2}", "neither true nor false");
  expect_problem("listen: {address: 127.0.0.1:1, proxy_protocol: [true]}", "takes one value");
  expect_problem("listen: {address: 127.0.0.1:1, proxy: true}", "address, tls and proxy_protocol");
}

TEST(ConfigLoader, AManagedSocketKeepsTheProxyProtocolOfItsAddress) {
  const SocketAddress address = *SocketAddress::parse("127.0.0.1:1");
  const auto configured = good("listen: {address: 127.0.0.1:1, proxy_protocol: true}").listen;
  EXPECT_TRUE(listen_at({address}, configured)[0].proxy_protocol);
  EXPECT_FALSE(listen_at({*SocketAddress::parse("127.0.0.1:2")}, configured)[0].proxy_protocol);
}

TEST(ConfigLoader, LimitsOfRatesHaveRanges) {
  EXPECT_TRUE(load("limits: { per_client: { bandwidth: 0B } }\n").ok());
  EXPECT_TRUE(load("limits: { per_client: { bandwidth: 4KiB, requests: 100000 } }\n").ok());
  EXPECT_FALSE(load("limits: { per_client: { bandwidth: 4095B } }\n").ok());
  EXPECT_FALSE(load("limits: { per_client: { bandwidth: 2GiB } }\n").ok());
  EXPECT_FALSE(load("limits: { per_client: { requests: 100001 } }\n").ok());
  EXPECT_FALSE(load("limits: { streams: -1 }\n").ok());
}

TEST(ConfigLoader, AKeyOfTokensHasLimits) {
  const std::string key = "security: {keys: [{id: a, algorithm: HS256, secret: \"" +
                          std::string(32, 's') + "\", limits: ";
  const LoadedConfig loaded = load(key + "{streams: 3, requests: 5, bandwidth: 1MiB}}]}\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((RateLimits{3, 5, size_t{1} << 20U}), loaded.config.security.keys.front().limits);
  const LoadedConfig again = config_from(settings_of(loaded.config), "test");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(loaded.config, again.config);
  for (const char* wrong :
       {"{streams: x}", "{stream: 3}", "3", "{bandwidth: 1}", "{streams: []}"}) {
    EXPECT_FALSE(load(key + wrong + "}]}\n").ok()) << wrong;
  }
}

TEST(ConfigLoader, AKeyOfTokensHasHosts) {
  const std::string key = "security: {keys: [{id: a, algorithm: HS256, secret: \"" +
                          std::string(32, 's') + "\", hosts: ";
  const LoadedConfig loaded =
      load(key + "{\"*.x.org\": {user_agent: VLC, headers: {X-A: secret-b}, verify: false}}}]}\n");
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(1U, loaded.config.security.keys.front().hosts.size());
  EXPECT_EQ(std::string::npos, print_config(loaded).find("secret-b"));
  const LoadedConfig again = config_from(settings_of(loaded.config), "test");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(loaded.config, again.config);
  expect_problem(key + "{x.org: {ca_file: /a}}}]}\n", "security.keys.hosts.x.org.ca_file");
}

TEST(ConfigLoader, ClientsAreAddressesWithoutPorts) {
  const LoadedConfig loaded =
      load("security: {clients: {allow: [loopback, 10.0.0.0/8], deny: 10.1.2.3}}\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(3U, loaded.config.security.clients.allow.size());
  EXPECT_EQ(1U, loaded.config.security.clients.deny.size());
  EXPECT_FALSE(load("security: {clients: {allow: [10.0.0.1:80]}}\n").ok());
}

TEST(ConfigLoader, HeadersOfLinksCanOnlyBeForbiddenWithTokens) {
  EXPECT_TRUE(load("security: {parameters: {sg_live: false, sg_alt: false}}\n").ok());
  EXPECT_FALSE(load("security: {parameters: {headers: false}}\n").ok());
}

TEST(ConfigLoader, PortsAreNumbersOfAList) {
  EXPECT_EQ((std::vector<uint16_t>{6667, 22}),
            good("security: { ports: [6667, 22] }").security.ports);
  EXPECT_EQ(std::vector<uint16_t>{22}, good("security: { ports: 22 }").security.ports);
  for (const char* bad : {"0", "65536", "ssh", "-1"}) {
    expect_problem(std::string("security: { ports: [") + bad + "] }", "security.ports");
  }
}

TEST(ConfigLoader, InvalidHeaderPoliciesAreProblems) {
  expect_problem("upstream: { user_agent: target }", "is not allowed here");
  expect_problem("upstream: { referer: browser }", "is not allowed here");
  expect_problem("upstream: { referer: }", "needs a value");
  expect_problem("upstream: { referer: \"a\\r\\nb\" }", "printable ASCII");
}

TEST(ConfigLoader, PublicUrlsLoseTrailingSlashes) {
  EXPECT_EQ("https://m.example.com", good("public_url: https://m.example.com/").public_url);
  EXPECT_EQ("http://[::1]:80/a", good("public_url: 'http://[::1]:80/a//'").public_url);
  for (const char* bad :
       {"m.example.com", "ftp://x", "https://", "https:///a", "https://u@x", "https://x?q",
        "https://x:0", "https://x:y", "'https://a b'", "'https://[x]'", "'https://x#f'"}) {
    expect_problem(std::string("public_url: ") + bad, "is not a public URL");
  }
}

TEST(ConfigLoader, ALoopIdIsATokenOfAtMost64Bytes) {
  EXPECT_EQ("", good("loop_id:").loop_id);
  EXPECT_EQ("edge-1.example", good("loop_id: edge-1.example").loop_id);
  const std::string longest(64, 'x');
  EXPECT_EQ(longest, good("loop_id: " + longest).loop_id);
  expect_problem("loop_id: " + longest + "x", "is not a token of at most 64 bytes");
  for (const char* bad : {"'a b'", "'a;b'", "'a,b'", "a=b", "'a\"b'", "\"a\\r\\nb\"", "\u00fc"}) {
    expect_problem(std::string("loop_id: ") + bad, "is not a token of at most 64 bytes");
  }
}

TEST(ConfigLoader, PathsAreAbsolute) {
  expect_problem("pid_file: a/b", "is not an absolute path");
  expect_problem("log: { access: stdout }", "neither stderr, syslog, off nor an absolute path");
  expect_problem("log: { error: 'off' }", "neither stderr, syslog nor an absolute path");
}

TEST(ConfigLoader, ListenAddrAppliesIfTheFileDoesNotSetListen) {
  const auto listen = [](const std::string& text) {
    return parse_config(text, "f", {{"LISTEN_ADDR", "127.0.0.1:1234"}})
        .config.listen[0]
        .address.to_string();
  };
  EXPECT_EQ("127.0.0.1:1234", listen("workers: 1"));
  EXPECT_EQ("127.0.0.1:99", listen("listen: 127.0.0.1:99"));
  const LoadedConfig wrong = load_config("", {{"LISTEN_ADDR", "nonsense"}});
  ASSERT_EQ(1U, wrong.problems.size());
  EXPECT_TRUE(wrong.problems[0].starts_with("LISTEN_ADDR: 'nonsense' is not an address"));
}

TEST(ConfigLoader, InvalidYamlIsReportedWithItsLine) {
  expect_problem("workers: 1\nlisten: [a", "f:2: is not YAML");
  expect_problem("workers: 1\n\xff\xfe", "f:2: contains a control");
  expect_problem(std::string("a\0b", 3), "this is not a text file");
  expect_problem("just a text", "consists of `key: value` lines");
  expect_problem("workers: 1\n---\nworkers: 2\n", "starts a second YAML document");
  expect_problem("? [a]\n: b\n", "a key must be a word");
  expect_problem(std::string(5'000, '['), "is not YAML");
  EXPECT_FALSE(load("a: &a [*a]\nb: {c: *a}\n").ok());
}

// In these texts yaml-cpp finds empty documents without end.
TEST(ConfigLoader, ATextThatBeginsWithACommaIsRefusedWithoutHanging) {
  for (const char* text : {",a: &a [*a]\n", ",a: 1\n", ","}) EXPECT_FALSE(load(text).ok()) << text;
}

TEST(ConfigLoader, AliasesWork) {
  EXPECT_EQ(7s, good("drain: { idle: &t 7s, stop_timeout: *t }").drain.stop_timeout);
}

TEST(ConfigLoader, UnreadableFilesAreProblems) {
  const auto problem = [](const std::string& path) {
    const LoadedConfig loaded = load_config(path, {});
    return loaded.problems.size() == 1 ? loaded.problems[0] : "";
  };
  EXPECT_EQ("/nonexistent/x: No such file or directory", problem("/nonexistent/x"));
  EXPECT_EQ("/tmp: is not a regular file", problem("/tmp"));
  EXPECT_EQ("/dev/zero: is not a regular file", problem("/dev/zero"));
  char path[] = "/tmp/streamgate-test-XXXXXX";
  const int fd = ::mkstemp(path);
  ASSERT_EQ(0, ::ftruncate(fd, 2 * 1024 * 1024));
  ::close(fd);
  EXPECT_EQ(std::string(path) + ": is larger than 1MiB", problem(path));
  ::unlink(path);
}

TEST(ConfigLoader, APrintedConfigurationLoadsToAnEqualOne) {
  Config config = good(R"yaml(
listen: ["[::1]:0", unix:/a, {address: 127.0.0.1:81, proxy_protocol: true}]
client_address: forwarded
public_url: http://x
user: "null"
trusted_proxies: [10.1.2.3, private, loopback, "fd00::/8"]
security: { allow_private: [private, "[::1]:80", "[fd00::/8]:80"], allow: ["*:80", "*.x.org:1"], deny: ["::1"], clients: { allow: [private, 10.1.2.3], deny: [loopback] }, parameters: { sg_live: false } }
cors: { allow_origin: [https://x.org, https://y.org], allow_credentials: true }
upstream: { user_agent: 'a "b" \ [c]: #d', origin: "- x", tls: { ca_file: "/a b" } }
limits: { connections: 129, streams: 7, per_client: { connections: 5, streams: 3, requests: 9, bandwidth: 64KiB } }
)yaml");
  const std::string text = print_config(config);
  EXPECT_EQ(config, good(text)) << text;
  EXPECT_EQ(default_config(), good(print_config(default_config())));
  const auto again = config_from(settings_of(config), "them");
  EXPECT_TRUE(again.ok());
  EXPECT_EQ(config, again.config);
}

TEST(ConfigValues, DurationsAndSizesPrintInTheLargestUnitThatFits) {
  EXPECT_EQ("0s", print_duration(0s));
  EXPECT_EQ("90s", print_duration(90s));
  EXPECT_EQ("1500ms", print_duration(1500ms));
  EXPECT_EQ("7d", print_duration(7 * 24h));
  EXPECT_EQ("16KiB", print_size(16384));
  EXPECT_EQ("1025B", print_size(1025));
}

}  // namespace
}  // namespace streamgate
