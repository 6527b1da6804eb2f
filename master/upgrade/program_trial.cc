#include "master/upgrade/program_trial.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "common/memory_file.h"
#include "common/pipe_pair.h"
#include "master/process/child_process.h"
#include "master/service/text_lines.h"
#include "master/upgrade/inheritable.h"
#include "master/upgrade/trial_order.h"

namespace streamgate {
namespace {

constexpr size_t kMaxOutputLines = 3;
constexpr size_t kMaxOutputBytes = 600;

std::string read_available(int fd, size_t most) {
  std::string out(most, '\0');
  size_t have = 0;
  while (have < most) {
    const ssize_t got = ::read(fd, out.data() + have, most - have);
    if (got <= 0) break;
    have += static_cast<size_t>(got);
  }
  out.resize(have);
  return out;
}

// The first lines of the output, joined to one.
std::string summary_of(std::string_view output) {
  std::string out;
  for (size_t lines = 0; lines < kMaxOutputLines && !output.empty();) {
    const std::string_view line = take_line(output);
    if (line.empty()) continue;
    if (++lines > 1) out += " | ";
    out += line;
  }
  return out.substr(0, kMaxOutputBytes);
}

[[noreturn]] void become_candidate(const Candidate& candidate, std::vector<int> descriptors,
                                   int state, int report, int output) {
  descriptors.push_back(state);
  descriptors.push_back(report);
  const Inheritable inheritable(std::move(descriptors));
  std::vector<std::string> arguments = candidate.arguments;
  arguments.push_back(std::string(kTrialOption) + "=" + std::to_string(state) + ":" +
                      std::to_string(report));
  const auto argv = exec_array(arguments);
  if (::dup2(output, STDOUT_FILENO) >= 0 && ::dup2(output, STDERR_FILENO) >= 0) {
    ::execv(candidate.path.c_str(), argv.data());
  }
  const std::string verdict =
      print_verdict(refusal(std::string("cannot be executed: ") + std::strerror(errno)));
  [[maybe_unused]] const ssize_t written = ::write(report, verdict.data(), verdict.size());
  ::_exit(EXIT_FAILURE);
}

}  // namespace

Result<ProgramTrial> ProgramTrial::start(const Candidate& candidate, const Handover& handover) {
  auto state = make_memory_file("streamgate-state", print_handover(handover));
  if (!state) return state.error();
  // Both ends are non-blocking: the master never waits, and a program that writes more than the
  // pipe holds does not hang.
  auto report = make_pipe(O_NONBLOCK);
  if (!report) return report.error();
  auto output = make_pipe(O_NONBLOCK);
  if (!output) return output.error();
  const pid_t master = ::getpid();
  const auto pid = fork_child([&]() -> int {
    ::setpgid(0, 0);
    // A trial that outlives the master would hold the lifeline of its workers open.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != master) return EXIT_FAILURE;
    become_candidate(candidate, descriptors_of(handover), state->get(), report->write_end.get(),
                     output->write_end.get());
  });
  if (!pid) return pid.error();
  ::setpgid(*pid, *pid);  // in both processes, so that kill() finds the group in any case
  return ProgramTrial(*pid, std::move(report->read_end), std::move(output->read_end));
}

void ProgramTrial::kill() const { ::kill(-pid_, SIGKILL); }

TrialVerdict ProgramTrial::verdict(int wait_status) const {
  kill();  // the trial's worker may still run
  const auto parsed = parse_verdict(read_available(report_.get(), kMaxVerdictBytes));
  if (parsed && !parsed->is_ready()) {
    return parsed->problems.empty() ? refusal(with_output(parsed->reason)) : *parsed;
  }
  const Ending ending{wait_status};
  if (!ending.is_exit(EXIT_SUCCESS)) {
    return refusal(with_output("ended with " + ending.kind() + " " + ending.value()));
  }
  if (parsed) return *parsed;
  return refusal(with_output("is not a Streamgate that can take over: it ended without a verdict"));
}

TrialVerdict ProgramTrial::verdict_of_late() const {
  return refusal(with_output("was not ready in time"));
}

std::string ProgramTrial::with_output(std::string reason) const {
  const std::string output = summary_of(read_available(output_.get(), size_t{64} * 1024));
  return output.empty() ? reason : std::move(reason) + ": " + output;
}

}  // namespace streamgate
