#include "worker/upstream/resolver.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/ascii.h"
#include "tests/unit/upstream_peers.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: used throughout

// A name server on loopback that answers from `zones`.
class StubDns {
 public:
  struct Zone {
    std::vector<std::string> v4;
    std::vector<std::string> v6;
    int ttl = 60;
    bool v4_silent = false;
    bool v6_silent = false;
    int error = DNS_ERR_NONE;
    int ignored = 0;  // questions, of both families, that get no answer before the others do
  };

  explicit StubDns(event_base* base) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const SocketAddress any(*IpAddress::parse("127.0.0.1"), 0);
    EXPECT_EQ(::bind(fd, any.native(), any.length()), 0);
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
    address = SocketAddress::from_native(reinterpret_cast<sockaddr*>(&name), length);
    port_ = evdns_add_server_port_with_base(base, fd, 0, &StubDns::on_question, this);
  }
  ~StubDns() {
    for (auto* request : held) evdns_server_request_drop(request);
    evdns_close_server_port(port_);
  }
  StubDns(const StubDns&) = delete;
  StubDns& operator=(const StubDns&) = delete;

  SocketAddress address;
  std::map<std::string, Zone> zones;
  std::map<std::string, int> asked;  // questions by name, both families
  std::vector<evdns_server_request*> held;

 private:
  static void on_question(evdns_server_request* request, void* self) {
    static_cast<StubDns*>(self)->answer(request);
  }
  void answer(evdns_server_request* request) {
    const evdns_server_question& question = *request->questions[0];
    const std::string name = ascii::lower(question.name);
    ++asked[name];
    const auto zone = zones.find(name);
    if (zone == zones.end()) {
      evdns_server_request_respond(request, DNS_ERR_NOTEXIST);
      return;
    }
    const bool is_v4 = question.type == EVDNS_TYPE_A;
    if (is_v4 ? zone->second.v4_silent : zone->second.v6_silent) return held.push_back(request);
    if (asked[name] <= zone->second.ignored) return held.push_back(request);
    for (const std::string& text : is_v4 ? zone->second.v4 : zone->second.v6) {
      const IpAddress address_of_name = *IpAddress::parse(text);
      if (is_v4) {
        evdns_server_request_add_a_reply(request, question.name, 1, address_of_name.bytes.data(),
                                         zone->second.ttl);
      } else {
        evdns_server_request_add_aaaa_reply(request, question.name, 1, address_of_name.bytes.data(),
                                            zone->second.ttl);
      }
    }
    evdns_server_request_respond(request, zone->second.error);
  }

  evdns_server_port* port_;
};

struct Waiting final : Resolver::Observer {
  void on_resolved(const std::vector<IpAddress>& found) override {
    ++calls;
    for (const IpAddress& address : found) addresses.push_back(address.to_string());
    if (then) then();
  }
  void on_resolve_failed(Error why) override {
    ++calls;
    error = std::move(why);
    if (then) then();
  }
  std::optional<Reason> reason() const {
    return error ? std::optional<Reason>(error->reason) : std::nullopt;
  }
  int calls = 0;
  std::vector<std::string> addresses;
  std::optional<Error> error;
  Resolver::LookupHandle lookup;
  std::function<void()> then;
};

using Texts = std::vector<std::string>;

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    std::filesystem::create_directories(folder);
    files = {folder + "/resolv.conf", folder + "/hosts"};
    write(files.resolv_conf,
          "search example.com\noptions ndots:5\nnameserver " + dns->address.to_string() + "\n");
    write(files.hosts, "");
    config.dns_timeout = Milliseconds{1000};
  }
  ~ResolverTest() override {
    resolver.reset();
    dns.reset();
    settle(base.get());
    std::filesystem::remove_all(folder);
  }
  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
  }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  void make() { resolver = std::make_unique<Resolver>(base.get(), wheel, config, files); }

  // The addresses, at once or from the event loop; empty on failure, which `waiting` holds.
  Texts resolve(const std::string& host) {
    if (!resolver) make();
    waiting = std::make_unique<Waiting>();
    const auto* known = resolver->resolve(host, *waiting, waiting->lookup);
    was_known = known != nullptr;
    if (known != nullptr) {
      Texts texts;
      for (const IpAddress& address : *known) texts.push_back(address.to_string());
      return texts;
    }
    EXPECT_EQ(waiting->calls, 0);  // never from inside resolve()
    EXPECT_TRUE(until([&] { return waiting->calls > 0; }));
    EXPECT_EQ(waiting->calls, 1);
    return waiting->addresses;
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  UpstreamConfig config;
  std::unique_ptr<StubDns> dns = std::make_unique<StubDns>(base.get());
  std::string folder = ::testing::TempDir() + "streamgate_dns_" + std::to_string(::getpid());
  Resolver::Files files;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<Waiting> waiting;
  bool was_known = false;
};

TEST_F(ResolverTest, ALiteralNeedsNoQuestion) {
  EXPECT_EQ(resolve("192.0.2.1"), Texts{"192.0.2.1"});
  EXPECT_EQ(resolve("2001:db8::1"), Texts{"2001:db8::1"});
  EXPECT_TRUE(dns->asked.empty());
}

TEST_F(ResolverTest, AsksBothFamiliesAndAlternatesTheirAddresses) {
  dns->zones["a.test"] = {{"1.1.1.1", "1.1.1.2", "1.1.1.3"}, {"2600::1"}};
  EXPECT_EQ(resolve("a.test"), (Texts{"2600::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"}));
  EXPECT_EQ(dns->asked["a.test"], 2);
}

TEST_F(ResolverTest, OneFamilyIsEnough) {
  dns->zones["v4.test"] = {{"1.1.1.1"}, {}};
  dns->zones["v6.test"] = {{}, {"2600::1"}};
  EXPECT_EQ(resolve("v4.test"), Texts{"1.1.1.1"});
  EXPECT_EQ(resolve("v6.test"), Texts{"2600::1"});
}

TEST_F(ResolverTest, KeepsAnAnswerForItsTtl) {
  dns->zones["a.test"] = {{"1.1.1.1"}, {}, 0};  // raised to the minimum, 1 s
  resolve("a.test");
  resolve("a.test");
  EXPECT_TRUE(was_known);
  EXPECT_EQ(dns->asked["a.test"], 2);
  const int64_t start = wheel.now_ms();
  ASSERT_TRUE(until([&] { return wheel.now_ms() - start > 1000; }));
  resolve("a.test");
  EXPECT_FALSE(was_known);
}

TEST_F(ResolverTest, KeepsTheAnswerThatANameDoesNotExist) {
  EXPECT_EQ(resolve("none.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
  EXPECT_EQ(resolve("none.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
  EXPECT_EQ(dns->asked["none.test"], 2);
  EXPECT_EQ(dns->asked.count("none.test.example.com"), 0U);  // absolute: no search list
}

TEST_F(ResolverTest, ANameWithoutAddressesFails) {
  dns->zones["empty.test"] = {};
  EXPECT_EQ(resolve("empty.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
}

TEST_F(ResolverTest, AServerFailureIsDnsFailed) {
  dns->zones["broken.test"].error = DNS_ERR_SERVERFAILED;
  EXPECT_EQ(resolve("broken.test"), Texts{});
  EXPECT_TRUE(waiting->error.has_value());
}

TEST_F(ResolverTest, ASilentServerRunsIntoTheTimeout) {
  dns->zones["slow.test"] = {{}, {}, 60, true, true};
  const int64_t start = wheel.now_ms();
  EXPECT_EQ(resolve("slow.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_timeout);
  EXPECT_LT(wheel.now_ms() - start, 1500);
}

TEST_F(ResolverTest, WaitsForASlowServerUntilTheTimeout) {
  dns->zones["slow.test"] = {{"1.1.1.1"}, {"2600::1"}, 60, false, false, DNS_ERR_NONE, 8};
  const int64_t start = wheel.now_ms();
  EXPECT_EQ(resolve("slow.test").size(), 2U);
  EXPECT_GT(wheel.now_ms() - start, 700);  // after four of the five questions
}

TEST_F(ResolverTest, ASilentFamilyDelaysTheOtherBy50Ms) {
  dns->zones["a.test"] = {{"1.1.1.1"}, {}, 60, false, true};
  const int64_t start = wheel.now_ms();
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  EXPECT_GE(wheel.now_ms() - start, 45);
  EXPECT_LT(wheel.now_ms() - start, 400);
}

TEST_F(ResolverTest, SimultaneousLookupsOfANameShareItsQuestions) {
  dns->zones["a.test"] = {{"1.1.1.1"}, {"2600::1"}};
  make();
  std::vector<std::unique_ptr<Waiting>> many;
  for (int i = 0; i < 10; ++i) {
    many.push_back(std::make_unique<Waiting>());
    resolver->resolve("a.test", *many.back(), many.back()->lookup);
  }
  many[3]->lookup.reset();
  ASSERT_TRUE(until([&] { return many[9]->calls == 1; }));
  for (size_t i = 0; i < many.size(); ++i) EXPECT_EQ(many[i]->calls, i == 3 ? 0 : 1);
  EXPECT_EQ(dns->asked["a.test"], 2);
}

TEST_F(ResolverTest, LookupsMayBeCancelledInsideACallback) {
  dns->zones["a.test"] = {{"1.1.1.1"}, {}};
  make();
  Waiting first;
  Waiting second;
  first.then = [&] {
    first.lookup.reset();
    second.lookup.reset();
  };
  resolver->resolve("a.test", first, first.lookup);
  resolver->resolve("a.test", second, second.lookup);
  ASSERT_TRUE(until([&] { return first.calls == 1; }));
  settle(base.get());
  EXPECT_EQ(second.calls, 0);
}

TEST_F(ResolverTest, MayBeDestroyedDuringALookup) {
  dns->zones["slow.test"] = {{}, {}, 60, true, true};
  make();
  Waiting asking;
  resolver->resolve("slow.test", asking, asking.lookup);
  ASSERT_TRUE(until([&] { return dns->asked["slow.test"] == 2; }));
  asking.lookup.reset();
  resolver.reset();
  settle(base.get());
  EXPECT_EQ(asking.calls, 0);
}

TEST_F(ResolverTest, TheHostsFileComesBeforeDnsAndIsReadAgainWhenItChanges) {
  write(files.hosts,
        "# comment\n127.0.0.1 localhost\n1.2.3.4\tBox.test alias # x\n2600::9 box.test\n");
  EXPECT_EQ(resolve("box.test"), (Texts{"2600::9", "1.2.3.4"}));
  EXPECT_EQ(resolve("alias"), Texts{"1.2.3.4"});
  EXPECT_TRUE(was_known);
  EXPECT_TRUE(dns->asked.empty());
  write(files.hosts, "5.6.7.8 box.test\n");
  EXPECT_TRUE(until([&] { return resolve("box.test") == Texts{"5.6.7.8"}; }));
  std::filesystem::remove(files.hosts);
  dns->zones["box.test"] = {{"9.9.9.9"}, {}};
  EXPECT_TRUE(until([&] { return resolve("box.test") == Texts{"9.9.9.9"}; }));
}

TEST_F(ResolverTest, StartsWithoutAUsableResolvConf) {
  for (const char* text : {"", "# nothing\n", "nameserver\n", "nameserver not-an-address\n"}) {
    write(files.resolv_conf, text);
    make();
    EXPECT_EQ(resolve("192.0.2.1"), Texts{"192.0.2.1"});
  }
  std::filesystem::remove(files.resolv_conf);
  make();
  EXPECT_EQ(resolve("192.0.2.1"), Texts{"192.0.2.1"});
}

TEST_F(ResolverTest, AnInvalidDnsNameFails) {
  EXPECT_EQ(resolve(std::string(64, 'x') + ".test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
}

TEST_F(ResolverTest, HoldsAtMost1024Names) {
  make();
  std::vector<std::unique_ptr<Waiting>> many;
  for (int i = 0; i < 1100; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    dns->zones[name] = {{}, {}, 60, true, true};
    many.push_back(std::make_unique<Waiting>());
    resolver->resolve(name, *many.back(), many.back()->lookup);
  }
  ASSERT_TRUE(until([&] { return many.back()->calls == 1; }));
  EXPECT_EQ(many.back()->reason(), Reason::overloaded);
  ASSERT_TRUE(until([&] { return many.front()->calls == 1; }));
  EXPECT_EQ(many.front()->reason(), Reason::dns_timeout);
  dns->zones["late.test"] = {{"1.1.1.1"}, {}};
  // Replaces an old entry. On a busy machine the stub may still be answering the 1,024 names when
  // the timeout of the first attempt ends.
  Texts late;
  for (int attempt = 0; attempt < 10 && late.empty(); ++attempt) late = resolve("late.test");
  EXPECT_EQ(late, Texts{"1.1.1.1"});
}

}  // namespace
}  // namespace streamgate
