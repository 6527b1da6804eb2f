#include "master/config/environment.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "master/config/loader.h"
#include "master/config/table.h"

namespace streamgate {
namespace {

LoadedConfig load(const std::string& text, const Environment& environment) {
  return parse_config(text, "f", environment);
}

Config good(const std::string& text, const Environment& environment) {
  const LoadedConfig loaded = load(text, environment);
  for (const std::string& problem : loaded.problems) ADD_FAILURE() << problem;
  return loaded.config;
}

std::string first_problem(const std::string& text, const Environment& environment) {
  const LoadedConfig loaded = load(text, environment);
  return loaded.ok() ? std::string() : loaded.problems.front();
}

TEST(ConfigEnvironment, EachKeyHasAVariableOfItsOwn) {
  std::set<std::string> seen;
  for (const ConfigKey& key : config_keys()) {
    EXPECT_TRUE(seen.insert(variable_of(key.path)).second) << key.path;
  }
  EXPECT_TRUE(seen.contains("STREAMGATE_UPSTREAM_TLS_CA_FILE"));
}

// A Service named streamgate sets these; one named streamgate-upstream the same with _UPSTREAM.
TEST(ConfigEnvironment, NoKeyHasAVariableThatKubernetesSets) {
  for (const ConfigKey& key : config_keys()) {
    const std::string name = variable_of(key.path);
    for (const char* end : {"_PORT", "_SERVICE_HOST", "_SERVICE_PORT", "_ADDR", "_PROTO", "_TCP"}) {
      EXPECT_FALSE(name.ends_with(end)) << name;
    }
  }
}

// Each value that a key prints can be set by the key's variable.
TEST(ConfigEnvironment, EachKeyCanBeSet) {
  for (const ConfigKey& key : config_keys()) {
    std::string value = key.print(default_config());
    if (value.empty()) continue;
    if (key.is_list && value.starts_with("[") && value != "[]") {
      std::erase_if(value, [](char c) { return c == '"'; });
      value = value.substr(1, value.size() - 2);
    } else if (value.starts_with("\"")) {
      value = value.substr(1, value.size() - 2);
    }
    const LoadedConfig loaded = load("", {{variable_of(key.path), value}});
    EXPECT_TRUE(loaded.ok()) << key.path << ": " << value;
    EXPECT_EQ(default_config(), loaded.config) << key.path;
    EXPECT_EQ(variable_of(key.path), loaded.origins.at(key.path).place);
  }
}

TEST(ConfigEnvironment, AVariableWinsOverTheFile) {
  const Environment three{{"STREAMGATE_WORKERS", "3"}};
  EXPECT_EQ(3U, good("workers: 2", three).workers);
  EXPECT_EQ(2U, good("workers: 2", {{"STREAMGATE_WORKERS", ""}}).workers);
  const Environment both{{"STREAMGATE_LISTEN", "127.0.0.1:1"}, {"LISTEN_ADDR", "127.0.0.1:2"}};
  EXPECT_EQ("127.0.0.1:1", good("listen: 127.0.0.1:3", both).listen.at(0).address.to_string());
  const Config one = good("upstream: {hosts: {a.example: {verify: false}}}",
                          {{"STREAMGATE_UPSTREAM_HOSTS", "{b.example: {verify: false}}"}});
  EXPECT_EQ(1U, one.upstream.hosts.size());
}

TEST(ConfigEnvironment, AVariableNarrowsThePrivateTargetsOfTheFile) {
  const Environment two{{"STREAMGATE_SECURITY_ALLOW_PRIVATE", "127.0.0.1,10.0.0.0/8"}};
  const Config config = good("security: {allow_private: true}", two);
  EXPECT_FALSE(config.security.allow_all_private);
  EXPECT_EQ(2U, config.security.allow_private.size());
}

TEST(ConfigEnvironment, CommasSeparateTheItemsOfAList) {
  const Config config = good("", {{"STREAMGATE_LISTEN", "[::1]:80, 127.0.0.1:81"},
                                  {"STREAMGATE_SECURITY_PORTS", "22,25,"},
                                  {"STREAMGATE_SECURITY_ALLOW_PRIVATE", "true"}});
  ASSERT_EQ(2U, config.listen.size());
  EXPECT_EQ("[::1]:80", config.listen[0].address.to_string());
  EXPECT_EQ((std::vector<uint16_t>{22, 25}), config.security.ports);
  EXPECT_TRUE(config.security.allow_all_private);
  EXPECT_TRUE(good("security: {ports: [22]}", {{"STREAMGATE_SECURITY_PORTS", "[]"}})
                  .security.ports.empty());
}

TEST(ConfigEnvironment, MapsAreYaml) {
  const Config config =
      good("", {{"STREAMGATE_LISTEN", "[{address: 127.0.0.1:81, proxy_protocol: true}]"},
                {"STREAMGATE_UPSTREAM_HOSTS", "{a.example: {max_connections: 1}}"}});
  EXPECT_TRUE(config.listen.at(0).proxy_protocol);
  EXPECT_EQ(1U, config.upstream.hosts.at(0).max_connections);
  EXPECT_EQ("STREAMGATE_UPSTREAM_HOSTS: upstream.hosts: is not YAML",
            first_problem("", {{"STREAMGATE_UPSTREAM_HOSTS", "{a: [s3cret"}}));
}

TEST(ConfigEnvironment, AProblemNamesItsVariable) {
  EXPECT_EQ("STREAMGATE_WORKERS: workers: 'x' is not a whole number",
            first_problem("", {{"STREAMGATE_WORKERS", "x"}}));
  EXPECT_EQ("STREAMGATE_SECURITY_PORTS: security.ports: 0 is out of range: 1 to 65535",
            first_problem("", {{"STREAMGATE_SECURITY_PORTS", "22,0"}}));
  // A rule between keys.
  EXPECT_TRUE(
      first_problem("", {{"STREAMGATE_LIMITS_REQUEST_HEAD", "1KiB"}})
          .starts_with("STREAMGATE_LIMITS_REQUEST_HEAD: limits.request_head: 1KiB is less"));
}

TEST(ConfigEnvironment, AKeyThatAVariableSetsCountsAsSetInRules) {
  EXPECT_EQ(ClientAddress::x_forwarded_for,
            good("client_address: x-forwarded-for", {{"STREAMGATE_TRUSTED_PROXIES", "10.0.0.1"}})
                .client_address);
}

TEST(ConfigEnvironment, UnknownVariablesOnlyWarn) {
  const LoadedConfig loaded = load("", {{"STREAMGATE_PORT", "tcp://10.0.0.1:80"},
                                        {"STREAMGATE_SERVICE_HOST", "10.0.0.1"},
                                        {"STREAMGATE_LOG_LEVL", "debug"},
                                        {"STREAMGATE_EMPTY", ""},
                                        {"STREAMGATE_BINARY", "/of/our/tests"},
                                        {"STREAMGATEX", "1"}});
  EXPECT_TRUE(loaded.ok());
  EXPECT_EQ(default_config(), loaded.config);
  ASSERT_EQ(3U, loaded.warnings.size());
  EXPECT_EQ(
      "STREAMGATE_LOG_LEVL: is ignored, because no key has this variable; did you mean "
      "STREAMGATE_LOG_LEVEL?",
      loaded.warnings[0]);
  EXPECT_NE(std::string::npos, loaded.warnings[1].find("Kubernetes")) << loaded.warnings[1];
}

TEST(ConfigEnvironment, VariablesInTheFileAreExpanded) {
  const Environment environment{{"N", "3"}, {"EMPTY", ""}, {"HOSTS", "a.example, b.example"}};
  EXPECT_EQ(3U, good("workers: ${N}", environment).workers);
  EXPECT_EQ(13U, good("workers: 1${N}", environment).workers);
  EXPECT_EQ(3U, good("workers: ${N:-4}", environment).workers);
  EXPECT_EQ(4U, good("workers: ${EMPTY:-4}", environment).workers);
  EXPECT_EQ(4U, good("workers: ${UNSET:-4}", environment).workers);
  EXPECT_EQ("", good("pid_file: ${UNSET:-}", environment).pid_file);
  EXPECT_EQ("/a/b", good("pid_file: /a${X:-}", {{"X", "/b"}}).pid_file);
  EXPECT_EQ(2U, good("security: {allow: '${HOSTS}'}", environment).security.allow.size());
  EXPECT_EQ("x3", good("upstream: {hosts: {a: {headers: {K: 'x${N}'}}}}", environment)
                      .upstream.hosts.at(0)
                      .headers.at(0)
                      .second);
}

TEST(ConfigEnvironment, TwoDollarsBeforeABraceEscapeAVariable) {
  EXPECT_EQ("a${b}", good("upstream: {user_agent: 'a$${b}'}", {}).upstream.user_agent.text);
  EXPECT_EQ("$$a", good("upstream: {user_agent: '$$a'}", {}).upstream.user_agent.text);
  for (const char* text : {"${b}", "$${b}", "$$${b}", "a$", "$${"}) {
    EXPECT_EQ(text, good("upstream: {user_agent: '" + without_variables(text) + "'}", {})
                        .upstream.user_agent.text);
  }
}

TEST(ConfigEnvironment, AnUnsetVariableIsAProblemWithItsLine) {
  EXPECT_EQ("f:2: workers: the environment variable N is not set; ${N:-default} gives it a default",
            first_problem("user: x\nworkers: ${N}", {}));
  EXPECT_EQ(1U, load("workers: ${N}", {}).problems.size());
  EXPECT_EQ(
      "f:3: upstream.hosts.a.ca_file: the environment variable N is not set; ${N:-default} gives "
      "it a default",
      first_problem("upstream:\n  hosts:\n    a: {ca_file: '${N}'}", {}));
  for (const char* bad : {"'${N'", "'${}'", "'${a b}'", "'${1}'", "'${N-x}'", "'${N:-${M}}'"}) {
    EXPECT_TRUE(first_problem(std::string("user: ") + bad, {{"N", "1"}, {"M", "1"}})
                    .starts_with("f:1: user: "))
        << bad;
  }
}

TEST(ConfigEnvironment, AValueCannotInjectYaml) {
  const Environment environment{{"X", "3\nuser: root\nlisten: [a]"}, {"Y", "a.example\", b: {"}};
  EXPECT_TRUE(first_problem("workers: ${X}", environment).starts_with("f:1: workers: '3"));
  EXPECT_EQ(default_config().user, load("workers: ${X}", environment).config.user);
  EXPECT_TRUE(first_problem("security: {allow: ['${Y}']}", environment)
                  .starts_with("f:1: security.allow: "));
  EXPECT_FALSE(load("upstream: {hosts: '${Z}'}", {{"Z", "{a: {}}"}}).ok());
}

TEST(ConfigEnvironment, PrintedConfigurationNamesOriginsAndLoadsAgain) {
  const Environment environment{{"STREAMGATE_WORKERS", "3"}, {"LISTEN_ADDR", "127.0.0.1:9"}};
  const LoadedConfig loaded =
      load("user: root\nupstream: {user_agent: 'a${x:-y}', referer: 'r$${q}'}", environment);
  const std::string text = print_config(loaded);
  for (const char* line :
       {"# LISTEN_ADDR\nlisten: [\"127.0.0.1:9\"]\n", "# STREAMGATE_WORKERS\nworkers: 3\n",
        "# f:1\nuser: root\n", "# default\npid_file:\n", "  # f:2\n  referer: \"r$${q}\"\n"}) {
    EXPECT_NE(std::string::npos, text.find(line)) << line << text;
  }
  EXPECT_EQ(loaded.config, good(text, environment));
  EXPECT_EQ(loaded.config, good(text, {}));
}

TEST(ConfigEnvironment, SecretsFromTheEnvironmentAreNotPrinted) {
  const Environment environment{{"PW", "s3cret"},
                                {"API_TOKEN", "s3cret"},
                                {"STREAMGATE_UPSTREAM_REFERER", "http://a/?s3cret"}};
  const std::string text =
      "upstream:\n  proxy: http://u:${PW}@10.0.0.1:80\n"
      "  hosts: {a: {headers: {K: '${PW}', L: 'x$${y}'}}}\n"
      "security: {allow: ['${API_TOKEN}', b]}\n";
  const LoadedConfig loaded = load(text, environment);
  ASSERT_TRUE(loaded.ok()) << loaded.problems.front();
  const std::string printed = print_config(loaded);
  EXPECT_EQ(std::string::npos, printed.find("s3cret")) << printed;
  EXPECT_EQ(loaded.config, good(printed, environment)) << printed;
  const LoadedConfig by_variable =
      load("", {{"STREAMGATE_UPSTREAM_HOSTS", "{a: {headers: {K: s3cret}}}"}});
  EXPECT_EQ(std::string::npos, print_config(by_variable).find("s3cret"));
}

TEST(ConfigEnvironment, SecretsFromTheEnvironmentAreInNoProblem) {
  for (const std::string& problem :
       {first_problem("workers: ${API_KEY}", {{"API_KEY", "s3cret"}}),
        first_problem("upstream: {user_agent: '${A}'}", {{"A", "target"}}),
        first_problem("", {{"STREAMGATE_UPSTREAM_USER_AGENT", "target"}})}) {
    EXPECT_FALSE(problem.empty());
    EXPECT_EQ(std::string::npos, problem.find("s3cret")) << problem;
    EXPECT_EQ(std::string::npos, problem.find("'target'")) << problem;
  }
}

// Settings that another version of the program has written are not expanded.
TEST(ConfigEnvironment, TheSettingsOfAnotherVersionHaveNoVariables) {
  Config config = default_config();
  config.upstream.user_agent = {HeaderPolicy::Kind::literal, "a${HOME}$${b"};
  EXPECT_EQ(config, config_from(settings_of(config), "them").config);
}

}  // namespace
}  // namespace streamgate
