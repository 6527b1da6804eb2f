#include "worker/upstream/resolver.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/ascii.h"
#include "common/clock.h"
#include "tests/unit/upstream_peers.h"
#include "worker/upstream/name_cache.h"
#include "worker/upstream/resolv_conf.h"

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
  void on_resolved(const ResolvedName& found) override {
    ++calls;
    full_name = found.full_name;
    for (const IpAddress& address : found.addresses) addresses.push_back(address.to_string());
    if (then) then();
  }
  void on_resolve_failed(Error why) override {
    ++calls;
    error = std::move(why);
    if (then) then();
  }
  std::optional<IpAddress> client() const override { return from; }
  std::optional<Reason> reason() const {
    return error ? std::optional<Reason>(error->reason) : std::nullopt;
  }
  int calls = 0;
  std::optional<IpAddress> from;
  std::string full_name;
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
    write(files.resolv_conf, nameserver(*dns));
    write(files.hosts, "");
    config.dns_timeout = Milliseconds{5000};  // no repetition for 1 s
  }
  ~ResolverTest() override {
    resolver.reset();
    dns.reset();
    settle(base.get());
    std::filesystem::remove_all(folder);
  }
  static std::string nameserver(const StubDns& server) {
    return "nameserver " + server.address.to_string() + "\n";
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
      for (const IpAddress& address : known->addresses) texts.push_back(address.to_string());
      return texts;
    }
    EXPECT_EQ(waiting->calls, 0);  // never from inside resolve()
    EXPECT_TRUE(until([&] { return waiting->calls > 0; }));
    EXPECT_EQ(waiting->calls, 1);
    return waiting->addresses;
  }

  EventBase base{event_base_new()};
  static int64_t shifted_clock() { return monotonic_ms() + shift_ms; }

  static inline int64_t shift_ms = 0;
  TimerWheel wheel{base.get(), shifted_clock};
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
}

TEST_F(ResolverTest, ANameWithoutAddressesFails) {
  dns->zones["empty.test"] = {};
  EXPECT_EQ(resolve("empty.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
}

TEST_F(ResolverTest, AServerFailureIsDnsFailed) {
  dns->zones["broken.test"].error = DNS_ERR_SERVERFAILED;
  EXPECT_EQ(resolve("broken.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
}

TEST_F(ResolverTest, ASilentServerRunsIntoTheTimeout) {
  config.dns_timeout = Milliseconds{1000};
  dns->zones["slow.test"] = {{}, {}, 60, true, true};
  const int64_t start = wheel.now_ms();
  EXPECT_EQ(resolve("slow.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_timeout);
  EXPECT_LT(wheel.now_ms() - start, 1500);
}

TEST_F(ResolverTest, WaitsForASlowServerUntilTheTimeout) {
  config.dns_timeout = Milliseconds{1000};
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
  EXPECT_LT(wheel.now_ms() - start, 800);
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

TEST_F(ResolverTest, ANameWithoutAFullStopIsCompletedByTheSearchList) {
  write(files.resolv_conf, "search none.test Lan.Test.\n" + nameserver(*dns));
  dns->zones["box.lan.test"] = {{"1.1.1.1"}, {}};
  EXPECT_EQ(resolve("box"), Texts{"1.1.1.1"});
  EXPECT_EQ(waiting->full_name, "box.lan.test");
  EXPECT_EQ(dns->asked["box.none.test"], 2);
  EXPECT_EQ(dns->asked["box"], 0);
  EXPECT_EQ(resolve("box"), Texts{"1.1.1.1"});
  EXPECT_TRUE(was_known);
}

TEST_F(ResolverTest, ANameWithEnoughFullStopsIsAskedAsItIsFirst) {
  write(files.resolv_conf, "search lan.test\n" + nameserver(*dns));
  dns->zones["a.test"] = {{"1.1.1.1"}, {}};
  dns->zones["b.c.lan.test"] = {{"1.1.1.2"}, {}};
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  EXPECT_EQ(waiting->full_name, "");
  EXPECT_EQ(resolve("b.c"), Texts{"1.1.1.2"});
  EXPECT_EQ(dns->asked["b.c"], 2);
}

TEST_F(ResolverTest, AFailureOfASearchedNameIsNotKept) {
  write(files.resolv_conf, "search lan.test\n" + nameserver(*dns));
  dns->zones["box.lan.test"].error = DNS_ERR_SERVERFAILED;
  EXPECT_EQ(resolve("box"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
  EXPECT_EQ(dns->asked["box"], 2);
  dns->zones["box.lan.test"] = {{"1.1.1.1"}, {}};
  EXPECT_EQ(resolve("box"), Texts{"1.1.1.1"});
}

TEST_F(ResolverTest, ReadsResolvConfAgainWhenItChanges) {
  StubDns other(base.get());
  dns->zones["a.test"] = {{"1.1.1.1"}, {}};
  other.zones["b.test"] = {{"1.1.1.2"}, {}};
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  write(files.resolv_conf, "# another\n" + nameserver(other));
  const int64_t start = wheel.now_ms();
  ASSERT_TRUE(until([&] { return wheel.now_ms() - start > 1000; }));
  EXPECT_EQ(resolve("b.test"), Texts{"1.1.1.2"});
  EXPECT_EQ(dns->asked["b.test"], 0);
}

TEST_F(ResolverTest, AQuestionUnderWayGoesToTheServersOfTheNewResolvConf) {
  StubDns other(base.get());
  dns->zones["slow.test"] = {{}, {}, 60, true, true};
  other.zones["slow.test"] = {{"1.1.1.2"}, {}};
  config.dns_timeout = Milliseconds{10'000};  // no repetition for 2 s
  make();
  Waiting slow;
  resolver->resolve("slow.test", slow, slow.lookup);
  ASSERT_TRUE(until([&] { return dns->asked["slow.test"] == 2; }));
  write(files.resolv_conf, "# another\n" + nameserver(other));
  const int64_t start = wheel.now_ms();
  ASSERT_TRUE(until([&] { return wheel.now_ms() - start > 1000; }));
  resolve("none.test");
  ASSERT_TRUE(until([&] { return slow.calls == 1; }));
  EXPECT_EQ(slow.addresses, Texts{"1.1.1.2"});
  EXPECT_LT(wheel.now_ms() - start, 1900);
}

TEST_F(ResolverTest, AFailingServerHandsOnToTheNextAtOnce) {
  StubDns second(base.get());
  write(files.resolv_conf, nameserver(*dns) + nameserver(second));
  for (const int error : {DNS_ERR_SERVERFAILED, DNS_ERR_REFUSED, DNS_ERR_NOTIMPL}) {
    const std::string name = "a" + std::to_string(error) + ".test";
    dns->zones[name].error = error;
    second.zones[name] = {{"1.1.1.1"}, {}};
    const int64_t start = wheel.now_ms();
    EXPECT_EQ(resolve(name), Texts{"1.1.1.1"});
    EXPECT_LT(wheel.now_ms() - start, 150);
  }
}

TEST_F(ResolverTest, FailsWhenEveryServerHasFailed) {
  StubDns second(base.get());
  write(files.resolv_conf, nameserver(*dns) + nameserver(second));
  dns->zones["a.test"].error = DNS_ERR_REFUSED;
  second.zones["a.test"].error = DNS_ERR_SERVERFAILED;
  const int64_t start = wheel.now_ms();
  EXPECT_EQ(resolve("a.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
  EXPECT_EQ(dns->asked["a.test"], 2);
  EXPECT_EQ(second.asked["a.test"], 2);
  EXPECT_LT(wheel.now_ms() - start, 150);
}

TEST_F(ResolverTest, ADeadFirstServerCostsOneWaitAndNotOneForEachName) {
  config.dns_timeout = Milliseconds{1000};
  const auto dead = std::make_unique<StubDns>(base.get());
  write(files.resolv_conf, nameserver(*dead) + nameserver(*dns));
  for (const char* name : {"a.test", "b.test", "c.test"}) {
    dns->zones[name] = {{"1.1.1.1"}, {}};
    dead->zones[name] = {{}, {}, 60, true, true};
  }
  const int64_t start = wheel.now_ms();
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  EXPECT_GE(wheel.now_ms() - start, 190);  // a fifth of the timeout
  for (const char* name : {"b.test", "c.test"}) {
    const int64_t again = wheel.now_ms();
    EXPECT_EQ(resolve(name), Texts{"1.1.1.1"});
    EXPECT_LT(wheel.now_ms() - again, 150);
    EXPECT_EQ(dead->asked[name], 0);
  }
}

TEST_F(ResolverTest, ASilentNameDoesNotMoveAServerThatAnswersOthers) {
  config.dns_timeout = Milliseconds{1000};
  StubDns second(base.get());
  write(files.resolv_conf, nameserver(*dns) + nameserver(second));
  dns->zones["slow.test"] = second.zones["slow.test"] = {{}, {}, 60, true, true};
  dns->zones["a.test"] = {{"1.1.1.1"}, {}};
  dns->zones["b.test"] = {{"1.1.1.1"}, {}};
  make();
  Waiting slow;
  resolver->resolve("slow.test", slow, slow.lookup);
  ASSERT_TRUE(until([&] { return dns->asked["slow.test"] == 2; }));
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  ASSERT_TRUE(until([&] { return second.asked["slow.test"] == 2; }));
  EXPECT_EQ(resolve("b.test"), Texts{"1.1.1.1"});
  EXPECT_EQ(second.asked["b.test"], 0);
}

TEST_F(ResolverTest, ADeadServerGetsItsPlaceBackWhenItAnswersAProbe) {
  config.dns_timeout = Milliseconds{1000};
  StubDns second(base.get());
  write(files.resolv_conf, nameserver(*dns) + nameserver(second));
  dns->zones["a.test"] = {{}, {}, 60, true, true};
  for (const char* name : {"a.test", "b.test", "c.test", "d.test"}) {
    second.zones[name] = {{"1.1.1.2"}, {}};
    if (name != std::string("a.test")) dns->zones[name] = {{"1.1.1.1"}, {}};
  }
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.2"});
  EXPECT_EQ(resolve("b.test"), Texts{"1.1.1.2"});
  EXPECT_EQ(dns->asked["b.test"], 0);
  shift_ms += 31'000;
  EXPECT_EQ(resolve("c.test").size(), 1U);
  ASSERT_TRUE(until([&] { return dns->asked["c.test"] == 2 && second.asked["c.test"] == 2; }));
  settle(base.get());
  EXPECT_EQ(resolve("d.test"), Texts{"1.1.1.1"});
  EXPECT_EQ(second.asked["d.test"], 0);
}

// Names that no server answers.
struct SilentNames {
  SilentNames(StubDns& dns, Resolver& resolver, int count, std::optional<IpAddress> from) {
    for (int i = 0; i < count; ++i) {
      const std::string name = "silent" + std::to_string(i) + ".test";
      dns.zones[name] = {{}, {}, 60, true, true};
      waiting.push_back(std::make_unique<Waiting>());
      waiting.back()->from = from;
      resolver.resolve(name, *waiting.back(), waiting.back()->lookup);
    }
  }
  size_t refused() const {
    return static_cast<size_t>(std::count_if(waiting.begin(), waiting.end(), [](const auto& one) {
      return one->reason() == Reason::overloaded;
    }));
  }
  std::vector<std::unique_ptr<Waiting>> waiting;
};

TEST_F(ResolverTest, AClientHasAtMost32QuestionsUnderWay) {
  config.dns_timeout = Milliseconds{1000};
  make();
  dns->zones["a.test"] = dns->zones["b.test"] = {{"1.1.1.1"}, {}};
  const SilentNames silent(*dns, *resolver, 40, IpAddress::parse("2001:db8::1"));
  ASSERT_TRUE(until([&] { return silent.refused() == 8; }));
  Waiting neighbour;  // of the same /64
  neighbour.from = IpAddress::parse("2001:db8::2");
  resolver->resolve("a.test", neighbour, neighbour.lookup);
  ASSERT_TRUE(until([&] { return neighbour.calls == 1; }));
  EXPECT_EQ(neighbour.reason(), Reason::overloaded);
  Waiting other;
  other.from = IpAddress::parse("2001:db8:0:1::1");
  resolver->resolve("b.test", other, other.lookup);
  ASSERT_TRUE(until([&] { return other.calls == 1; }));
  EXPECT_EQ(other.addresses, Texts{"1.1.1.1"});
  ASSERT_TRUE(until([&] { return silent.waiting[31]->calls == 1; }));
  EXPECT_EQ(silent.waiting[31]->reason(), Reason::dns_timeout);
  Waiting later;  // the questions are over
  later.from = neighbour.from;
  resolver->resolve("a.test", later, later.lookup);
  ASSERT_TRUE(until([&] { return later.calls == 1; }));
  EXPECT_EQ(later.addresses, Texts{"1.1.1.1"});
}

TEST_F(ResolverTest, ThreeThousandSilentNamesLeaveOthersTheirAnswers) {
  make();
  dns->zones["known.test"] = dns->zones["new.test"] = {{"1.1.1.1"}, {}};
  resolve("known.test");
  const SilentNames silent(*dns, *resolver, 3000, std::nullopt);
  EXPECT_EQ(resolve("known.test"), Texts{"1.1.1.1"});
  EXPECT_TRUE(was_known);
  // The bound of 1,024 ends the oldest questions.
  Waiting fresh;
  resolver->resolve("new.test", fresh, fresh.lookup);
  ASSERT_TRUE(until([&] { return fresh.calls == 1; }));
  EXPECT_EQ(fresh.addresses, Texts{"1.1.1.1"});
  EXPECT_EQ(silent.refused(), 3000 + 1 - Resolver::kMaxQuestions);
  EXPECT_EQ(silent.waiting.front()->reason(), Reason::overloaded);
  EXPECT_EQ(silent.waiting.back()->calls, 0);
}

TEST(NameCache, AFullCacheGivesNoLivingAddressUp) {
  NameCache cache;
  const ResolvedName found{"", {*IpAddress::parse("1.1.1.1")}};
  const auto name = [](size_t i) { return "n" + std::to_string(i) + ".test"; };
  for (size_t i = 0; i < NameCache::kMaxNames; ++i) cache.keep(name(i), found, 60'000, 0);
  cache.keep("stranger.test", found, 60'000, 1'000);
  EXPECT_EQ(cache.find("stranger.test", 1'000), nullptr);
  for (size_t i = 0; i < NameCache::kMaxNames; ++i) EXPECT_NE(cache.find(name(i), 59'999), nullptr);
  cache.keep("stranger.test", found, 60'000, 60'000);
  EXPECT_NE(cache.find("stranger.test", 60'000), nullptr);
  EXPECT_EQ(cache.size(), 1U);
}

TEST(NameCache, FailuresGiveWayToAddresses) {
  NameCache cache;
  const ResolvedName found{"", {*IpAddress::parse("1.1.1.1")}};
  for (size_t i = 0; i < NameCache::kMaxNames; ++i) {
    cache.keep_failure("n" + std::to_string(i) + ".test", {Reason::dns_failed, {}}, 0);
  }
  cache.keep("a.test", found, 60'000, 1'000);
  EXPECT_NE(cache.find("a.test", 1'000), nullptr);
}

TEST(ResolvConf, ReadsServersSearchListAndDots) {
  const auto conf = ResolvConf::parse(
      "# comment\r\ndomain first.test\n; search no.test\nnameserver 192.0.2.1 # x\n"
      "nameserver\t2001:db8::1\nnameserver 127.0.0.1:5353\nnameserver [::1]:54\n"
      "nameserver fe80::1%eth0\nnameserver 127.0.0.1:0\nnameserver unix:/x\n"
      "search A.test .b.test.\noptions rotate ndots:99 timeout:1\nunknown\n\nsearch");
  std::vector<std::string> servers;
  for (const SocketAddress& server : conf.servers) servers.push_back(server.to_string());
  EXPECT_EQ(servers, (Texts{"192.0.2.1:53", "[2001:db8::1]:53", "127.0.0.1:5353", "[::1]:54"}));
  EXPECT_TRUE(conf.search.empty());  // the last line counts
  EXPECT_EQ(conf.ndots, 15U);
  EXPECT_EQ(ResolvConf::parse("domain a.test b.test\n").search, (Texts{"a.test"}));
  EXPECT_EQ(ResolvConf::parse("options ndots:x ndots:2y ndots:-1\n").ndots, 1U);
}

TEST(ResolvConf, OrdersTheNamesToAskByTheirDots) {
  const auto conf = ResolvConf::parse("search a.test b.test\noptions ndots:2\n");
  EXPECT_EQ(conf.candidates("x.y"), (Texts{"x.y.a.test", "x.y.b.test", "x.y"}));
  EXPECT_EQ(conf.candidates("x.y.z"), (Texts{"x.y.z", "x.y.z.a.test", "x.y.z.b.test"}));
  EXPECT_EQ(conf.candidates(std::string(250, 'x')), Texts{std::string(250, 'x')});
}

}  // namespace
}  // namespace streamgate
