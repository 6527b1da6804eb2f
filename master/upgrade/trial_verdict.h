// The verdict at the end of a trial (master/upgrade/program_trial.h): the program can take over, or
// the reason why it cannot. A text in a pipe; its first line shows that it comes from a Streamgate.
// Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate {

struct TrialVerdict {
  std::string version;                // of a program that can take over; empty: it cannot
  std::string reason;                 // why it cannot
  std::vector<std::string> problems;  // of the configuration, each with its line

  bool is_ready() const { return !version.empty(); }
};

// The verdict on a program that cannot take over.
TrialVerdict refusal(std::string reason);

// Less than the capacity of a pipe (64 KiB), so that the writer never waits for the reader.
constexpr size_t kMaxVerdictBytes = size_t{32} * 1024;

std::string print_verdict(const TrialVerdict& verdict);
// None if the text is not a complete verdict.
std::optional<TrialVerdict> parse_verdict(std::string_view text);

// One line for readers who do not see the log: the first problem and the number of the others.
std::string first_of(const std::vector<std::string>& problems);

}  // namespace streamgate
