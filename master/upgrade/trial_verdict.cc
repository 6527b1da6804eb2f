#include "master/upgrade/trial_verdict.h"

#include <algorithm>
#include <utility>

#include "master/service/text_lines.h"

namespace streamgate {
namespace {

constexpr std::string_view kTitle = "streamgate-trial 1";
constexpr std::string_view kProblem = "problem ";
constexpr std::string_view kRefused = "refused ";
constexpr std::string_view kReady = "ready ";
constexpr std::string_view kEnd = "end";

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text + "\n";
}

}  // namespace

TrialVerdict refusal(std::string reason) { return {{}, std::move(reason), {}}; }

std::string print_verdict(const TrialVerdict& verdict) {
  std::string out = std::string(kTitle) + "\n";
  if (verdict.is_ready()) {
    out += std::string(kReady) + one_line(verdict.version);
  } else {
    out += std::string(kRefused) + one_line(verdict.reason.substr(0, kMaxVerdictBytes / 4));
  }
  for (const std::string& problem : verdict.problems) {
    const std::string line = std::string(kProblem) + one_line(problem);
    if (out.size() + line.size() + kEnd.size() + 1 > kMaxVerdictBytes) break;
    out += line;
  }
  return out + std::string(kEnd) + "\n";
}

std::optional<TrialVerdict> parse_verdict(std::string_view text) {
  TrialVerdict out;
  bool has_title = false;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (!has_title) {
      if (line != kTitle) return std::nullopt;
      has_title = true;
    } else if (line.starts_with(kProblem)) {
      out.problems.emplace_back(line.substr(kProblem.size()));
    } else if (line.starts_with(kRefused)) {
      out.reason = line.substr(kRefused.size());
    } else if (line.starts_with(kReady)) {
      out.version = line.substr(kReady.size());
    } else if (line == kEnd) {
      return out;
    }
  }
  return std::nullopt;
}

std::string first_of(const std::vector<std::string>& problems) {
  const size_t more = problems.size() - 1;
  return problems.front() +
         (more > 0 ? " (and " + std::to_string(more) + " more, see the log)" : std::string());
}

}  // namespace streamgate
