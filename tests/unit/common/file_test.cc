#include "common/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "common/memory_file.h"
#include "common/pipe_pair.h"

namespace streamgate {
namespace {

constexpr size_t kMiB = size_t{1024} * 1024;

TEST(ReadFile, ReturnsTheWholeFileUpToTheLimit) {
  const std::string text(100'000, 'x');
  const auto file = make_memory_file("test", text);
  ASSERT_TRUE(file);
  const std::string path = "/proc/self/fd/" + std::to_string(file->get());
  EXPECT_EQ(text, *read_file(path, text.size()));
  const auto refused = read_file(path, text.size() - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(path + ": is larger than 99999 bytes", refused.error().detail);
}

TEST(ReadFile, ReadsFilesOfProcWhoseSizeIsZero) {
  const auto text = read_file("/proc/self/stat", kMiB);
  ASSERT_TRUE(text) << text.error().detail;
  EXPECT_TRUE(text->starts_with(std::to_string(::getpid()) + " ("));
}

TEST(ReadFile, NamesThePathAndTheProblem) {
  EXPECT_EQ("/nonexistent: No such file or directory",
            read_file("/nonexistent", kMiB).error().detail);
  EXPECT_EQ("/tmp: is not a regular file", read_file("/tmp", kMiB).error().detail);
}

TEST(ReadFile, DoesNotWaitForTheWriterOfAFifo) {
  const std::string path = ::testing::TempDir() + "streamgate-fifo-" + std::to_string(::getpid());
  ASSERT_EQ(0, ::mkfifo(path.c_str(), 0600));
  const auto text = read_file(path, kMiB);
  ::unlink(path.c_str());
  ASSERT_FALSE(text);
  EXPECT_EQ(path + ": is not a regular file", text.error().detail);
}

TEST(ReadFile, OfADescriptorIgnoresAndKeepsItsOffset) {
  const auto file = make_memory_file("test", "abcdef");
  ASSERT_TRUE(file);
  ASSERT_EQ(6, ::lseek(file->get(), 0, SEEK_CUR));
  EXPECT_EQ("abcdef", *read_file(file->get(), kMiB));
  EXPECT_EQ("is larger than 5 bytes", read_file(file->get(), 5).error().detail);
  EXPECT_EQ("abc", *read_start(file->get(), 3));
  EXPECT_EQ(6, ::lseek(file->get(), 0, SEEK_CUR));
  EXPECT_EQ("Bad file descriptor", read_file(-1, kMiB).error().detail);
}

TEST(MakePipe, EndsAreCloseOnExecAndConnected) {
  const auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  EXPECT_EQ(FD_CLOEXEC, ::fcntl(pipe->read_end.get(), F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, ::fcntl(pipe->write_end.get(), F_GETFD));
  EXPECT_EQ(0, ::fcntl(pipe->read_end.get(), F_GETFL) & O_NONBLOCK);
  ASSERT_EQ(1, ::write(pipe->write_end.get(), "x", 1));
  char byte = 0;
  ASSERT_EQ(1, ::read(pipe->read_end.get(), &byte, 1));
  EXPECT_EQ('x', byte);
}

TEST(MakePipe, FlagsApplyToBothEnds) {
  const auto pipe = make_pipe(O_NONBLOCK);
  ASSERT_TRUE(pipe);
  EXPECT_NE(0, ::fcntl(pipe->read_end.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_NE(0, ::fcntl(pipe->write_end.get(), F_GETFL) & O_NONBLOCK);
}

}  // namespace
}  // namespace streamgate
