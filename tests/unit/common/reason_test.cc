#include "common/reason.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace streamgate {
namespace {

static_assert(token_of(Reason::bad_request) == "bad_request");
static_assert(token_of(Reason::first_byte_timeout) == "first_byte_timeout");
static_assert(status_for(Reason::first_byte_timeout) == 504);
static_assert(info_of(Reason::internal).message == "The proxy failed.");
static_assert(static_cast<size_t>(Reason::internal) + 1 == kReasonCount);

constexpr int kNeverSent = 499;  // the client cannot be answered

// The strings that `pattern` finds in `text`, its first group of each.
std::vector<std::string> find_all(const std::string& text, const char* pattern) {
  const std::regex expression(pattern);
  std::vector<std::string> out;
  for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end; ++match)
    out.push_back(match->str(1));
  return out;
}

// The table of README's section "Status codes": the status of each token. A row has one status for
// all its tokens, or one for each.
std::map<std::string, std::string> read_status_table() {
  std::ifstream readme(STREAMGATE_SOURCE_DIR "/README.md");
  std::string line;
  while (std::getline(readme, line) && line != "## Status codes") {
  }
  std::map<std::string, std::string> statuses;
  while (std::getline(readme, line) && !line.starts_with("## ")) {
    const auto cells = find_all(line, R"(\| ([^|]+))");
    if (cells.size() != 2) continue;
    const auto numbers = find_all(cells[0], "([0-9]{3})");
    const auto tokens = find_all(cells[1], "`([a-z_]+)`");
    if (numbers.empty()) continue;
    EXPECT_TRUE(numbers.size() == 1 || numbers.size() == tokens.size()) << line;
    for (size_t i = 0; i < tokens.size(); ++i) {
      statuses[tokens[i]] = numbers[numbers.size() == 1 ? 0 : i];
    }
  }
  return statuses;
}

TEST(Reason, MessagesAreSentencesAndStatusesAreErrors) {
  std::set<std::string_view> messages;
  for (const ReasonInfo& info : kReasons) {
    EXPECT_TRUE(messages.insert(info.message).second) << info.token;
    EXPECT_TRUE(info.message.ends_with(".")) << info.token;
    EXPECT_EQ(std::string_view::npos, info.message.find_first_of("\"\\")) << info.token;
    EXPECT_GE(info.status, 400) << info.token;
    EXPECT_LT(info.status, 600) << info.token;
  }
}

TEST(Reason, ReadmeHasTheStatusOfEachThatAClientCanSee) {
  std::map<std::string, std::string> expected;
  for (const ReasonInfo& info : kReasons) {
    if (info.status == kNeverSent) continue;
    expected.emplace(info.token, std::to_string(info.status));
  }
  EXPECT_EQ(expected, read_status_table());
}

// The paragraph on the access log's `reason` explains the reasons that no client sees.
TEST(Reason, OperationsExplainsEachThatNoClientSees) {
  std::ifstream file(STREAMGATE_SOURCE_DIR "/deploy/OPERATIONS.md");
  std::string row;
  while (std::getline(file, row) && !row.starts_with("| `reason` |")) {
  }
  for (const ReasonInfo& info : kReasons) {
    if (info.status != kNeverSent) continue;
    EXPECT_NE(std::string::npos, row.find("`" + std::string(info.token) + "`")) << info.token;
  }
}

}  // namespace
}  // namespace streamgate
