#include "master/config/admin.h"

#include <gtest/gtest.h>

#include <string>

#include "master/config/listen.h"
#include "master/config/loader.h"

namespace streamgate {
namespace {

LoadedConfig load(const std::string& text) { return parse_config(text, "c.yaml", {}); }

std::string problem(const std::string& text) {
  const LoadedConfig loaded = load(text);
  return loaded.ok() ? "none" : loaded.problems.front();
}

SocketAddress at(const char* text) { return *SocketAddress::parse(text); }

TEST(AdminConfig, ListenIsOffOrOneAddressOrAList) {
  EXPECT_TRUE(load("admin: {listen: off}").config.admin.listen.empty());
  EXPECT_TRUE(load("admin: {listen: []}").config.admin.listen.empty());
  EXPECT_EQ(std::vector{at("127.0.0.1:1")},
            load("admin: {listen: 127.0.0.1:1}").config.admin.listen);
  EXPECT_EQ((std::vector{at("127.0.0.1:1"), at("unix:/x")}),
            load("admin: {listen: [127.0.0.1:1, unix:/x]}").config.admin.listen);
  EXPECT_EQ(0U, problem("admin: {listen: [off]}").find("c.yaml:1: admin.listen: "));
  EXPECT_EQ(0U, problem("admin:\n  listen:").find("c.yaml:2: admin.listen: needs a list"));
}

TEST(AdminConfig, AnAddressThatOtherMachinesReachNeedsAToken) {
  for (const char* address :
       {"0.0.0.0:1", "192.0.2.1:1", "\"[::]:1\"", "\"[::ffff:127.0.0.1]:1\""}) {
    const std::string text = std::string("listen: 127.0.0.1:9\nadmin:\n  listen: ") + address;
    EXPECT_NE(std::string::npos, problem(text).find("set admin.token")) << address;
    EXPECT_EQ("none", problem(text + "\n  token: a"));
  }
  for (const char* address : {"127.0.0.1:1", "127.255.0.1:1", "\"[::1]:1\"", "unix:/x"}) {
    EXPECT_EQ("none", problem(std::string("admin: {listen: ") + address + "}")) << address;
  }
}

TEST(AdminConfig, AddressesDoNotOverlap) {
  EXPECT_NE(std::string::npos,
            problem("listen: 0.0.0.0:80\nadmin: {listen: 127.0.0.1:80}").find("overlap"));
  EXPECT_NE(std::string::npos,
            problem("admin: {listen: [127.0.0.1:80, 127.0.0.1:80]}").find("overlap"));
}

TEST(AdminConfig, OnlyTheNextProgramGetsTheTokenInTheClear) {
  const LoadedConfig loaded = load("admin: {token: abc123xyz}");
  EXPECT_EQ(std::string::npos, print_config(loaded).find("abc123xyz"));
  EXPECT_NE(std::string::npos, print_config(loaded).find("token: \"(hidden)\""));
  EXPECT_NE(std::string::npos, print_config(loaded.config).find("abc123xyz"));
}

TEST(AdminConfig, TheTokenHasTheCharactersOfABearerToken) {
  EXPECT_EQ("aZ0-._~+/==", load("admin: {token: \"aZ0-._~+/==\"}").config.admin.token.view());
  EXPECT_TRUE(load("admin:\n  token:").config.admin.token.empty());
  for (const char* token : {"a b", "a=b", "==", "a\\u00e9", "a,b"}) {
    const std::string found = problem(std::string("admin: {token: \"") + token + "\"}");
    EXPECT_NE(std::string::npos, found.find("admin.token: takes letters")) << token;
    EXPECT_EQ(std::string::npos, found.find(token)) << token;
  }
}

TEST(AdminConfig, HostsAreNamesInLowerCase) {
  EXPECT_EQ((std::vector<std::string>{"a.example", "b"}),
            load("admin: {hosts: [A.Example, b]}").config.admin.hosts);
  for (const char* host : {"http://a", "a:80", "*.a", "''"}) {
    const std::string text = std::string("admin: {hosts: [\"") + host + "\"]}";
    EXPECT_NE(std::string::npos, problem(text).find("is not a host name")) << host;
  }
}

TEST(AdminConfig, PrintedSettingsAreReadBack) {
  Config config = default_config();
  for (const auto& listen : {std::vector<SocketAddress>{}, std::vector{at("127.0.0.1:1")},
                             std::vector{at("127.0.0.1:1"), at("[::1]:1")}}) {
    config.admin = {listen, Secret("t0ken="), {"a.example"}};
    EXPECT_EQ(config.admin, config_from(settings_of(config), "x").config.admin);
  }
}

TEST(AdminConfig, ASocketOfTheServiceManagerMayServeTheAdminListener) {
  Config config = default_config();
  config.admin.listen = {at("127.0.0.1:9")};
  use_addresses_of_manager({at("127.0.0.1:9"), at("127.0.0.1:1")}, config);
  EXPECT_EQ((std::vector{at("127.0.0.1:1"), at("127.0.0.1:9")}), all_addresses(config));
  use_addresses_of_manager({at("127.0.0.1:9")}, config);
  EXPECT_EQ((std::vector{at("127.0.0.1:1"), at("127.0.0.1:9")}), all_addresses(config));
  use_addresses_of_manager({}, config);
  EXPECT_EQ((std::vector{at("127.0.0.1:1"), at("127.0.0.1:9")}), all_addresses(config));
}

}  // namespace
}  // namespace streamgate
