// The service's files beside those of another service.
#include "master/service_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace streamgate {
namespace {

class ServiceFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/streamgate-test-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    pid_path_ = folder_ + "/pid";
  }

  void TearDown() override { std::filesystem::remove_all(folder_); }

  static void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string text_of(const std::string& path) {
    const auto text = read_small_file(path);
    return text ? *text : "(none)";
  }

  std::string folder_;
  std::string pid_path_;
  PidFile pid_;
  StatusFile status_;
};

TEST_F(ServiceFilesTest, APidFileHoldsThisProcessAndGoesWithIt) {
  ASSERT_TRUE(pid_.move_to(pid_path_));
  EXPECT_EQ(text_of(pid_path_), std::to_string(::getpid()) + "\n");
  ASSERT_TRUE(pid_.move_to(pid_path_ + "2"));
  EXPECT_EQ(text_of(pid_path_), "(none)");
  pid_.remove();
  EXPECT_EQ(text_of(pid_path_ + "2"), "(none)");
}

// As after `-s quit` and a new start, while the last streams of the old service run on.
TEST_F(ServiceFilesTest, AServiceThatDrainsLeavesTheFilesOfItsSuccessorAlone) {
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

TEST_F(ServiceFilesTest, TheStatusMovesWithThePidFile) {
  ASSERT_TRUE(pid_.move_to(pid_path_));
  ASSERT_TRUE(status_.write(pid_path_, "here"));
  ASSERT_TRUE(pid_.move_to(pid_path_ + "2"));
  ASSERT_TRUE(status_.write(pid_path_ + "2", "there"));
  EXPECT_EQ(text_of(status_path(pid_path_)), "(none)");
  EXPECT_EQ(text_of(status_path(pid_path_ + "2")), "there");
  status_.remove();
  EXPECT_EQ(text_of(status_path(pid_path_ + "2")), "(none)");
}

}  // namespace
}  // namespace streamgate
