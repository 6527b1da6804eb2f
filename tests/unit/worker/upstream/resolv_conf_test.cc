#include "worker/upstream/resolv_conf.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

using Texts = std::vector<std::string>;

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
