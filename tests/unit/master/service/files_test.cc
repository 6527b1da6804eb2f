// The service's files in a directory that other users can write to, or that another service uses.
#include "master/service/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/file.h"

namespace streamgate {
namespace {

class ServiceFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/streamgate-test-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    pid_path_ = folder_ + "/pid";
    put(victim(), "precious");
  }

  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string victim() const { return folder_ + "/victim"; }
  static void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string text_of(const std::string& path) {
    const auto text = read_file(path, kMaxSmallFileBytes);
    return text ? *text : "(none)";
  }

  std::string folder_;
  std::string pid_path_;
  PidFile pid_;
  StatusFile status_;
};

TEST_F(ServiceFilesTest, APidFileHoldsTheProcessIdUntilItIsRemoved) {
  ASSERT_TRUE(pid_.move_to(pid_path_));
  EXPECT_EQ(text_of(pid_path_), std::to_string(::getpid()) + "\n");
  ASSERT_TRUE(pid_.move_to(pid_path_ + "2"));
  EXPECT_EQ(text_of(pid_path_), "(none)");
  pid_.remove();
  EXPECT_EQ(text_of(pid_path_ + "2"), "(none)");
}

TEST_F(ServiceFilesTest, ALinkAtTheTemporaryNameIsNotWrittenThrough) {
  ASSERT_EQ(0, ::symlink(victim().c_str(), (pid_path_ + ".new").c_str()));
  ASSERT_EQ(0, ::symlink(victim().c_str(), (pid_path_ + ".status.new").c_str()));
  ASSERT_TRUE(pid_.move_to(pid_path_));
  ASSERT_TRUE(status_.write(pid_path_, "status"));
  EXPECT_EQ(text_of(victim()), "precious");
  EXPECT_EQ(text_of(pid_path_), std::to_string(::getpid()) + "\n");
  EXPECT_EQ(text_of(status_path(pid_path_)), "status");
}

TEST_F(ServiceFilesTest, ATemporaryFileOfAKilledMasterIsReplaced) {
  put(pid_path_ + ".new", "a longer text than the next one");
  ASSERT_TRUE(pid_.move_to(pid_path_));
  EXPECT_EQ(text_of(pid_path_), std::to_string(::getpid()) + "\n");
}

// For example after `-s quit` and a new start, while the last streams of the old service run.
TEST_F(ServiceFilesTest, ADrainingServiceLeavesTheFilesOfItsSuccessorAlone) {
  ASSERT_TRUE(pid_.move_to(pid_path_));
  ASSERT_TRUE(status_.write(pid_path_, "ours"));
  const std::string successor = std::to_string(::getppid());
  put(pid_path_, successor);
  put(status_path(pid_path_), "the successor's");
  ASSERT_TRUE(status_.write(pid_path_, "ours again"));
  EXPECT_EQ(text_of(status_path(pid_path_)), "the successor's");
  status_.remove();
  pid_.remove();
  EXPECT_EQ(text_of(status_path(pid_path_)), "the successor's");
  EXPECT_EQ(text_of(pid_path_), successor);
}

TEST_F(ServiceFilesTest, TheStatusFileMovesWithThePidFile) {
  ASSERT_TRUE(pid_.move_to(pid_path_));
  ASSERT_TRUE(status_.write(pid_path_, "here"));
  ASSERT_TRUE(pid_.move_to(pid_path_ + "2"));
  ASSERT_TRUE(status_.write(pid_path_ + "2", "there"));
  EXPECT_EQ(text_of(status_path(pid_path_)), "(none)");
  EXPECT_EQ(text_of(status_path(pid_path_ + "2")), "there");
  status_.remove();
  EXPECT_EQ(text_of(status_path(pid_path_ + "2")), "(none)");
}

TEST_F(ServiceFilesTest, APidFileThatIsRightIsNotWrittenAgain) {
  ASSERT_TRUE(pid_.move_to(pid_path_));
  struct stat before {};
  struct stat after {};
  ASSERT_EQ(0, ::stat(pid_path_.c_str(), &before));
  ASSERT_TRUE(pid_.move_to(pid_path_));
  ASSERT_EQ(0, ::stat(pid_path_.c_str(), &after));
  EXPECT_EQ(before.st_ino, after.st_ino);
}

// The directory at the temporary name keeps the new file from being created, as a full disk does.
class StatusInPlaceTest : public ServiceFilesTest {
 protected:
  void SetUp() override {
    ServiceFilesTest::SetUp();
    ASSERT_TRUE(pid_.move_to(pid_path_));
    ASSERT_TRUE(status_.write(pid_path_, "a long status\n"));
    std::filesystem::create_directories(status_path(pid_path_) + ".new/occupied");
  }
};

TEST_F(StatusInPlaceTest, AShorterStatusIsFilledUpWithBlanks) {
  ASSERT_TRUE(status_.write(pid_path_, "short\n"));
  EXPECT_EQ(text_of(status_path(pid_path_)), "short        \n");
  ASSERT_TRUE(status_.write(pid_path_, "a longer status than before\n"));
  EXPECT_EQ(text_of(status_path(pid_path_)), "a longer status than before\n");
}

TEST_F(StatusInPlaceTest, NothingIsWrittenThroughALinkAndNoOldStatusStays) {
  const std::string path = status_path(pid_path_);
  ASSERT_EQ(0, ::unlink(path.c_str()));
  ASSERT_EQ(0, ::symlink(victim().c_str(), path.c_str()));
  EXPECT_FALSE(status_.write(pid_path_, "status\n"));
  EXPECT_EQ(text_of(path), "(none)");
  ASSERT_EQ(0, ::link(victim().c_str(), path.c_str()));
  EXPECT_FALSE(status_.write(pid_path_, "status\n"));
  EXPECT_EQ(text_of(path), "(none)");
  EXPECT_EQ(text_of(victim()), "precious");
}

// Only root changes owners.
TEST_F(ServiceFilesTest, TheOwnerOfAFileBehindALinkOfAnotherUserStays) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can change the owner of a file";
  const Account account{"nobody", 65534, 65534};
  LogConfig config;
  config.access = folder_ + "/access.log";
  ASSERT_EQ(0, ::symlink(victim().c_str(), config.access.c_str()));
  ASSERT_EQ(0, ::lchown(config.access.c_str(), account.uid, account.gid));
  EXPECT_FALSE(open_log_files(config, account));
  struct stat info {};
  ASSERT_EQ(0, ::stat(victim().c_str(), &info));
  EXPECT_EQ(info.st_uid, 0U);
  // A link of root is followed.
  ASSERT_EQ(0, ::lchown(config.access.c_str(), 0, 0));
  EXPECT_TRUE(open_log_files(config, account));
  ASSERT_EQ(0, ::stat(victim().c_str(), &info));
  EXPECT_EQ(info.st_uid, account.uid);
}

}  // namespace
}  // namespace streamgate
