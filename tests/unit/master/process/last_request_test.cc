#include "master/process/last_request.h"

#include <gtest/gtest.h>

#include <cstring>

#include "common/log.h"

namespace streamgate {
namespace {

TEST(LastRequest, IsReadAsTheWorkerWroteIt) {
  ServedRequest served;
  served.is_running = 1;
  std::memcpy(served.text.data(), "c GET http://a/", 15);
  served.size = 15;
  std::memcpy(served.step.data(), "connect", 8);
  const LastRequest request = read_last_request(served);
  EXPECT_TRUE(request.is_running);
  EXPECT_EQ("c GET http://a/", request.text);
  EXPECT_EQ("connect", request.step);
}

TEST(LastRequest, AnUntouchedColumnHasNone) {
  const LastRequest request = read_last_request({});
  EXPECT_FALSE(request.is_running);
  EXPECT_EQ("", request.text);
  EXPECT_EQ("", request.step);
}

TEST(LastRequest, AHostileColumnIsReadWithinItsBoundsAndStaysOneLogLine) {
  ServedRequest served;
  std::memset(static_cast<void*>(&served), 0xff, sizeof served);
  served.text.fill('\n');
  const LastRequest request = read_last_request(served);
  EXPECT_EQ(std::string(kServedTextBytes, '\n'), request.text);
  EXPECT_EQ(std::string(kServedStepBytes, '\xff'), request.step);
  const std::string printed = log::quote(request.text) + log::quote(request.step);
  EXPECT_EQ(std::string::npos, printed.find_first_of("\n\xff"));
}

}  // namespace
}  // namespace streamgate
