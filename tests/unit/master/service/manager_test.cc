#include "master/service/manager.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "common/unique_fd.h"

namespace streamgate {
namespace {

// The socket of a manager; `name` has the form of NOTIFY_SOCKET.
UniqueFd manager_at(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  UniqueFd out(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(0, ::bind(out.get(), reinterpret_cast<sockaddr*>(&address), length));
  return out;
}

std::string received(const UniqueFd& manager) {
  char buffer[256];
  const ssize_t got = ::recv(manager.get(), buffer, sizeof buffer, 0);
  return got < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(got));
}

std::string pid() { return std::to_string(::getpid()); }

TEST(ServiceManager, WithoutAManagerThereAreNoSocketsAndNoWatchdog) {
  const ServiceManager manager = ServiceManager::from_environment();
  manager.notify("READY=1");
  EXPECT_TRUE(manager.sockets().empty());
  EXPECT_EQ(std::nullopt, manager.watchdog_ms());
}

TEST(ServiceManager, NotifiesASocketFile) {
  char folder[] = "/tmp/streamgate-test-XXXXXX";
  ASSERT_NE(nullptr, ::mkdtemp(folder));
  const std::string path = std::string(folder) + "/notify";
  const UniqueFd end = manager_at(path);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ServiceManager::from_environment().notify("READY=1\nMAINPID=7");
  EXPECT_EQ("READY=1\nMAINPID=7", received(end));
  ::unlink(path.c_str());
  ::rmdir(folder);
}

TEST(ServiceManager, NotifiesAnAbstractSocket) {
  const std::string name = "@streamgate-test-" + pid();
  const UniqueFd end = manager_at(name);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  ServiceManager::from_environment().notify("STOPPING=1");
  EXPECT_EQ("STOPPING=1", received(end));
}

TEST(ServiceManager, AnAddressThatIsTooLongIsNotTruncated) {
  constexpr size_t kMaxName = sizeof sockaddr_un{}.sun_path - 1;
  std::string name = "@streamgate-test-" + pid();
  name.append(kMaxName - name.size(), 'x');
  const UniqueFd end = manager_at(name);
  ::setenv("NOTIFY_SOCKET", (name + "x").c_str(), 1);
  ServiceManager::from_environment().notify("READY=1");
  EXPECT_EQ("nothing", received(end));
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  ServiceManager::from_environment().notify("READY=1");
  EXPECT_EQ("READY=1", received(end));
}

TEST(ServiceManager, RemovesItsVariablesFromTheEnvironment) {
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                           "LISTEN_PID", "LISTEN_FDNAMES"}) {
    ::setenv(name, "1", 1);
  }
  const ServiceManager manager = ServiceManager::from_environment();
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                           "LISTEN_PID", "LISTEN_FDNAMES"}) {
    EXPECT_EQ(nullptr, ::getenv(name)) << name;
  }
  EXPECT_TRUE(manager.sockets().empty());          // LISTEN_PID is another process
  EXPECT_EQ(std::nullopt, manager.watchdog_ms());  // and WATCHDOG_PID too
}

TEST(ServiceManager, TakesTheSocketsForItsProcess) {
  ::setenv("LISTEN_PID", pid().c_str(), 1);
  ::setenv("LISTEN_FDS", "2", 1);
  EXPECT_EQ((std::vector<int>{3, 4}), ServiceManager::from_environment().sockets());
}

TEST(ServiceManager, TheWatchdogIntervalIsHalfOfItsTimeout) {
  ::setenv("WATCHDOG_USEC", "15000000", 1);
  ::setenv("WATCHDOG_PID", pid().c_str(), 1);
  EXPECT_EQ(7'500, ServiceManager::from_environment().watchdog_ms());
}

}  // namespace
}  // namespace streamgate
