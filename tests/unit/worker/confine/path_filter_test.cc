// Tests which files a confined process may open, each in a child process.
#include "worker/confine/path_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "tests/unit/worker/confine/in_child.h"

namespace streamgate {
namespace {

using Access = PathRule::Access;

constexpr int kNotSupported = 254;

class PathFilterTest : public testing::Test {
 protected:
  void SetUp() override {
    if (error_of([] { return 0; }, {}) == kNotSupported) GTEST_SKIP() << "no Landlock";
    char pattern[] = "/tmp/streamgate-test-XXXXXX";
    folder = ::mkdtemp(pattern);
    for (const char* name : {"/open", "/closed"}) {
      std::filesystem::create_directory(folder + name);
      std::ofstream(folder + name + "/file") << "text";
    }
  }
  void TearDown() override {
    if (!folder.empty()) std::filesystem::remove_all(folder);
  }

  // errno of the call in a process with these rules; 0: it succeeded.
  static int error_of(const std::function<long()>& call, const std::vector<PathRule>& rules) {
    return in_child([&] {
      const auto paths = confine_paths(rules);
      if (!paths || *paths == Paths::not_supported) return kNotSupported;
      return call() < 0 ? errno : 0;
    });
  }
  int error_of_open(const std::string& name, int flags, Access access) const {
    const std::string path = folder + name;
    return error_of([&] { return ::open(path.c_str(), flags, 0600); },
                    {{folder + "/open", access}});
  }

  std::string folder;
};

TEST_F(PathFilterTest, FilesBelowAListedFolderAreRead) {
  EXPECT_EQ(error_of_open("/open/file", O_RDONLY, Access::read), 0);
  EXPECT_EQ(error_of_open("/closed/file", O_RDONLY, Access::read), EACCES);
}

TEST_F(PathFilterTest, AFolderForReadingIsNotWritten) {
  EXPECT_EQ(error_of_open("/open/file", O_WRONLY, Access::read), EACCES);
  EXPECT_EQ(error_of_open("/open/new", O_WRONLY | O_CREAT, Access::read), EACCES);
}

TEST_F(PathFilterTest, FilesAreMadeOnlyInAFolderForLogs) {
  EXPECT_EQ(error_of_open("/open/file", O_WRONLY | O_APPEND, Access::write), 0);
  EXPECT_EQ(error_of_open("/open/new", O_WRONLY | O_CREAT, Access::write), EACCES);
  EXPECT_EQ(error_of_open("/open/new", O_WRONLY | O_CREAT, Access::append), 0);
  EXPECT_EQ(error_of_open("/closed/new", O_WRONLY | O_CREAT, Access::append), EACCES);
}

// Rotated logs and /etc/resolv.conf are other files of the same name.
TEST_F(PathFilterTest, AReplacedFileOfAListedFolderIsRead) {
  const std::string path = folder + "/open/file";
  EXPECT_EQ(error_of(
                [&] {
                  const int own = ::open((path + "2").c_str(), O_WRONLY | O_CREAT, 0600);
                  return own < 0 ? own : ::open((path + "2").c_str(), O_RDONLY);
                },
                {{folder + "/open", Access::append}}),
            0);
}

TEST_F(PathFilterTest, OpenDescriptorsStayUsable) {
  const int fd = ::open((folder + "/closed/file").c_str(), O_RDONLY);
  char byte = 0;
  EXPECT_EQ(error_of([&] { return ::read(fd, &byte, 1) - 1; }, {}), 0);
  ::close(fd);
}

TEST_F(PathFilterTest, ARuleForAMissingFileHasNoEffect) {
  EXPECT_EQ(error_of([] { return 0; }, {{folder + "/missing", Access::read}}), 0);
}

}  // namespace
}  // namespace streamgate
