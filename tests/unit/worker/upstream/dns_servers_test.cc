// Several name servers, resolv.conf and its search rules, through the Resolver.
#include "worker/upstream/dns_servers.h"

#include "tests/unit/worker/upstream/resolver_fixture.h"

namespace streamgate {
namespace {

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
  shift_ms += 1'100;
  EXPECT_EQ(resolve("b.test"), Texts{"1.1.1.2"});
  EXPECT_EQ(dns->asked["b.test"], 0);
}

TEST_F(ResolverTest, AnEmptyOrMissingResolvConfLeavesTheServersInPlace) {
  dns->zones["a.test"] = dns->zones["b.test"] = dns->zones["c.test"] = {{"1.1.1.1"}, {}};
  EXPECT_EQ(resolve("a.test"), Texts{"1.1.1.1"});
  write(files.resolv_conf, "");
  shift_ms += 1'100;
  EXPECT_EQ(resolve("b.test"), Texts{"1.1.1.1"});
  std::filesystem::remove(files.resolv_conf);
  shift_ms += 1'100;
  EXPECT_EQ(resolve("c.test"), Texts{"1.1.1.1"});
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

TEST_F(ResolverTest, AfterAFailureTheNextServerIsAskedAtOnce) {
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

TEST_F(ResolverTest, AFailureIsFinalWhenTheOtherServerIsDead) {
  config.dns_timeout = Milliseconds{2000};
  StubDns second(base.get());
  write(files.resolv_conf, nameserver(*dns) + nameserver(second));
  dns->zones["a.test"] = {{}, {}, 60, true, true};
  second.zones["a.test"].error = DNS_ERR_SERVERFAILED;
  const int64_t start = wheel.now_ms();
  EXPECT_EQ(resolve("a.test"), Texts{});
  EXPECT_EQ(waiting->reason(), Reason::dns_failed);
  EXPECT_LT(wheel.now_ms() - start, 1500);  // two waits
}

TEST_F(ResolverTest, ASlowServerHasTheWholeTimeAfterAnotherHasFailed) {
  config.dns_timeout = Milliseconds{1000};
  StubDns second(base.get());
  write(files.resolv_conf, nameserver(*dns) + nameserver(second));
  dns->zones["fast.test"] = {{"1.1.1.1"}, {}};
  dns->zones["slow.test"] = {{"1.1.1.1"}, {}, 60, false, false, DNS_ERR_NONE, 2};
  second.zones["slow.test"].error = DNS_ERR_REFUSED;
  make();
  Waiting slow;
  resolver->resolve("slow.test", slow, slow.lookup);
  ASSERT_TRUE(until([&] { return dns->asked["slow.test"] == 2; }));
  resolve("fast.test");
  ASSERT_TRUE(until([&] { return slow.calls == 1; }));
  EXPECT_EQ(slow.addresses, Texts{"1.1.1.1"});
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

TEST_F(ResolverTest, ADeadServerRegainsItsPlaceWhenItAnswersAProbe) {
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

}  // namespace
}  // namespace streamgate
