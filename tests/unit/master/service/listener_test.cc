#include "master/service/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace streamgate {
namespace {

SocketAddress address(const std::string& text) { return *SocketAddress::parse(text); }

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  ::getsockopt(fd, level, name, &value, &length);
  return value;
}

bool accepts(const SocketAddress& where) {
  const UniqueFd client(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(client.get(), where.native(), where.length()) == 0;
}

class ListenerTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/streamgate-test-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    path_ = folder_ + "/s";
  }
  void TearDown() override {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }

  std::string folder_;
  std::string path_;
};

TEST_F(ListenerTest, PortZeroBecomesThePortThatTheKernelChooses) {
  const auto listener = Listener::bind(address("127.0.0.1:0"));
  ASSERT_TRUE(listener);
  EXPECT_EQ(0, listener->configured().port());
  EXPECT_NE(0, listener->bound().port());
  EXPECT_TRUE(accepts(listener->bound()));
  EXPECT_NE(0, ::fcntl(listener->fd(), F_GETFL) & O_NONBLOCK);
  EXPECT_NE(0, ::fcntl(listener->fd(), F_GETFD) & FD_CLOEXEC);
  EXPECT_EQ(1, option(listener->fd(), SOL_SOCKET, SO_REUSEADDR));
}

TEST_F(ListenerTest, AnIpv6SocketTakesNoIpv4Clients) {
  const auto listener = Listener::bind(address("[::1]:0"));
  ASSERT_TRUE(listener);
  EXPECT_EQ(1, option(listener->fd(), IPPROTO_IPV6, IPV6_V6ONLY));
}

TEST_F(ListenerTest, AnAddressInUseIsAnErrorThatNamesTheAddress) {
  const auto first = Listener::bind(address("127.0.0.1:0"));
  const auto second = Listener::bind(first->bound());
  ASSERT_FALSE(second);
  EXPECT_EQ("cannot listen on " + first->bound().to_string() + ": Address already in use",
            second.error().detail);
}

TEST_F(ListenerTest, AStaleUnixSocketIsReplacedAndALiveOneIsNot) {
  const SocketAddress unix_address = address("unix:" + path_);
  {
    const auto first = Listener::bind(unix_address);
    ASSERT_TRUE(first);
    EXPECT_TRUE(accepts(unix_address));
    const auto second = Listener::bind(unix_address);
    ASSERT_FALSE(second);
    EXPECT_NE(std::string::npos, second.error().detail.find("another process listens on it"));
  }
  EXPECT_EQ(0, ::access(path_.c_str(), F_OK));
  const auto third = Listener::bind(unix_address);
  ASSERT_TRUE(third);
  EXPECT_TRUE(accepts(unix_address));
  third->remove_file();
  EXPECT_NE(0, ::access(path_.c_str(), F_OK));
}

TEST_F(ListenerTest, AFileThatIsNotASocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  const auto listener = Listener::bind(address("unix:" + path_));
  ASSERT_FALSE(listener);
  EXPECT_EQ(0, ::access(path_.c_str(), F_OK));
}

TEST_F(ListenerTest, TheSocketFileOfASuccessorIsLeftAlone) {
  const auto listener = Listener::bind(address("unix:" + path_));
  ASSERT_TRUE(listener);
  ASSERT_EQ(0, ::rename(path_.c_str(), (path_ + "x").c_str()));
  std::ofstream(path_) << "another";
  listener->remove_file();
  EXPECT_EQ(0, ::access(path_.c_str(), F_OK));
  ::unlink((path_ + "x").c_str());
}

TEST_F(ListenerTest, AnAddressThatStaysKeepsItsSocket) {
  const std::vector<SocketAddress> before = {address("127.0.0.1:0"), address("[::1]:0")};
  const auto live = bind_listeners(before, {});
  ASSERT_TRUE(live);
  const std::vector<SocketAddress> after = {address("[::1]:0"), address("unix:" + path_)};
  const auto next = bind_listeners(after, *live);
  ASSERT_TRUE(next);
  EXPECT_EQ((*live)[1], (*next)[0]);
  EXPECT_EQ(path_, (*next)[1]->bound().path());
}

TEST_F(ListenerTest, AnOverlapWithALiveListenerNamesBothAddressesAndBindsNothing) {
  const std::vector<SocketAddress> before = {address("127.0.0.1:0")};
  const auto live = bind_listeners(before, {});
  ASSERT_TRUE(live);
  const std::string bound = (*live)[0]->bound().to_string();
  const std::string wanted = "0.0.0.0:" + std::to_string((*live)[0]->bound().port());
  const std::vector<SocketAddress> after = {address("unix:" + path_), address(wanted)};
  const auto next = bind_listeners(after, *live);
  ASSERT_FALSE(next);
  EXPECT_NE(std::string::npos, next.error().detail.find(wanted));
  EXPECT_NE(std::string::npos, next.error().detail.find(bound));
  EXPECT_NE(0, ::access(path_.c_str(), F_OK)) << "the first new listener is removed";
}

}  // namespace
}  // namespace streamgate
