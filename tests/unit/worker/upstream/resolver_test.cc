#include "worker/upstream/resolver.h"

#include <algorithm>

#include "tests/unit/worker/upstream/resolver_fixture.h"

namespace streamgate {
namespace {

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

TEST_F(ResolverTest, ANameInUseIsAskedForBeforeItsTtlEnds) {
  dns->zones["a.test"] = {{"1.1.1.1"}, {}, 60};
  resolve("a.test");
  shift_ms += 44'000;
  resolve("a.test");
  dns->zones["a.test"].v4 = {"2.2.2.2"};
  shift_ms += 2'000;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
    EXPECT_TRUE(was_known);
  }
  EXPECT_TRUE(until([&] { return resolve("a.test") == Texts{"2.2.2.2"}; }));
  shift_ms += 15'000;
  resolve("a.test");
  EXPECT_TRUE(was_known);
  EXPECT_EQ(dns->asked["a.test"], 4);
}

TEST_F(ResolverTest, AFamilyThatIsLateWhenANameIsAskedForAgainStaysKnown) {
  const Texts both{"2600::1", "1.1.1.1"};
  dns->zones["a.test"] = {{"1.1.1.1"}, {"2600::1"}, 60};
  EXPECT_EQ(resolve("a.test"), both);
  dns->zones["a.test"].v6_silent = true;
  shift_ms += 46'000;
  EXPECT_EQ(resolve("a.test"), both);
  const int64_t later = wheel.now_ms() + 300;  // than the wait for the other family
  EXPECT_TRUE(until([&] { return wheel.now_ms() >= later; }));
  EXPECT_EQ(dns->held.size(), 1U);
  EXPECT_EQ(resolve("a.test"), both);
  shift_ms += 14'000;  // the TTL has ended
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  EXPECT_TRUE(was_known);
}

TEST_F(ResolverTest, FewNamesAreAskedForEarlyAtATime) {
  const auto name = [](unsigned i) { return "a" + std::to_string(i) + ".test"; };
  constexpr unsigned kNames = 2 * Resolver::kMaxQuestionsPerClient;
  for (unsigned i = 0; i < kNames; ++i) {
    dns->zones[name(i)] = {{"1.1.1.1"}, {}, 60};
    resolve(name(i));
    dns->zones[name(i)].v4_silent = dns->zones[name(i)].v6_silent = true;
  }
  shift_ms += 50'000;
  for (unsigned i = 0; i < kNames; ++i) EXPECT_EQ(resolve(name(i)), Texts{"1.1.1.1"});
  ASSERT_TRUE(until([&] { return dns->asked[name(0)] == 4; }));
  settle(base.get());
  EXPECT_EQ(dns->asked[name(Resolver::kMaxQuestionsPerClient)], 2);
  EXPECT_EQ(dns->asked[name(kNames - 1)], 2);
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

TEST_F(ResolverTest, AddressesOfALateFamilyAreCollected) {
  dns->zones["a.test"] = {{"1.1.1.1"}, {}, 60, false, true};
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  ASSERT_EQ(dns->held.size(), 1U);
  const IpAddress late = *IpAddress::parse("2600::1");
  evdns_server_request* const request = dns->held.front();
  dns->held.clear();
  evdns_server_request_add_aaaa_reply(request, "a.test", 1, late.bytes.data(), 60);
  evdns_server_request_respond(request, DNS_ERR_NONE);
  EXPECT_TRUE(until([&] { return resolve("a.test") == Texts{"2600::1", "1.1.1.1"}; }));
  EXPECT_EQ(dns->asked["a.test"], 2);
}

TEST_F(ResolverTest, AFamilyThatNeverAnswersDoesNotCountAgainstTheClient) {
  make();
  std::vector<std::unique_ptr<Waiting>> many;
  for (unsigned i = 0; i <= Resolver::kMaxQuestionsPerClient; ++i) {
    const std::string name = "a" + std::to_string(i) + ".test";
    dns->zones[name] = {{"1.1.1.1"}, {}, 60, false, true};
    many.push_back(std::make_unique<Waiting>());
    many.back()->from = IpAddress::parse("192.0.2.1");
    resolver->resolve(name, *many.back(), many.back()->lookup);
    if (i % 8 == 0) {
      ASSERT_TRUE(until([&] { return many.back()->calls == 1; }));
    }
  }
  ASSERT_TRUE(until([&] { return many.back()->calls == 1; }));
  EXPECT_EQ(many.back()->addresses, Texts{"1.1.1.1"});
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

TEST_F(ResolverTest, AnInvalidDnsNameFails) {
  EXPECT_EQ(resolve(std::string(64, 'x') + ".test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
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

TEST_F(ResolverTest, AClientHasAtMost32OpenQuestions) {
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

TEST_F(ResolverTest, ThreeThousandSilentNamesDoNotBlockOtherNames) {
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

}  // namespace
}  // namespace streamgate
