// The command line option with which the master starts the trial of a new program file.
#pragma once

namespace streamgate {

// Added to the command line of the running master. The value is two descriptors, `STATE:REPORT`.
constexpr const char* kTrialOption = "--upgrade-trial";

// The descriptors of the Handover's memory file and of the pipe for the verdict.
struct TrialOrder {
  int state;
  int report;
};

}  // namespace streamgate
