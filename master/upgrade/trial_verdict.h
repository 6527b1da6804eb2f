// What a program file that is to replace the running one says of itself at the end of its trial
// (master/upgrade/program_trial.h): that it can take over, or why not. As a text through a pipe;
// its first line proves that a Streamgate speaks. Pure.
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

// That of a program that cannot take over.
TrialVerdict refusal(std::string reason);

// At most as long as a pipe holds, so that nobody has to read it while it is written.
constexpr size_t kMostVerdictBytes = size_t{32} * 1024;

std::string print_verdict(const TrialVerdict& verdict);
// None: that was no verdict, or only a part of one.
std::optional<TrialVerdict> parse_verdict(std::string_view text);

// For somebody who sees only one line; the log has every problem.
std::string first_of(const std::vector<std::string>& problems);

}  // namespace streamgate
