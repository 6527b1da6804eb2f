#include "common/reason.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
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

// The pieces of `text` between any of the separators, without empty ones.
std::vector<std::string> split(const std::string& text, const char* separators) {
  std::vector<std::string> out;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find_first_of(separators, begin), text.size());
    if (end > begin) out.push_back(text.substr(begin, end - begin));
  }
  return out;
}

// The words of `text` that stand in backquotes.
std::vector<std::string> quoted(const std::string& text) {
  std::vector<std::string> out;
  for (size_t begin = 0; (begin = text.find('`', begin)) != std::string::npos;) {
    const size_t end = text.find('`', begin + 1);
    if (end == std::string::npos) break;
    out.push_back(text.substr(begin + 1, end - begin - 1));
    begin = end + 1;
  }
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
    const auto cells = split(line, "|");
    if (cells.size() != 2) continue;
    const auto numbers = split(cells[0], ", ");
    const auto tokens = quoted(cells[1]);
    if (tokens.empty()) continue;  // the table's head
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

TEST(Reason, ReadmeHasTheStatusOfEachReasonThatClientsSee) {
  std::map<std::string, std::string> expected;
  for (const ReasonInfo& info : kReasons) {
    if (info.status == kNeverSent) continue;
    expected.emplace(info.token, std::to_string(info.status));
  }
  EXPECT_EQ(expected, read_status_table());
}

// The paragraph on the access log's `reason` explains the reasons that no client sees.
TEST(Reason, OperationsExplainsEachReasonThatNoClientSees) {
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
