// What the master that serves hands to the trial of a new program file, on its command line.
#pragma once

namespace streamgate {

// What a running master adds to its own command line to try out a new program file; the value is
// two descriptors, `STATE:REPORT` (master/upgrade/trial_run.h).
constexpr const char* kTrialOption = "--upgrade-trial";

// The descriptors of the Handover's memory file and of the pipe for the verdict.
struct TrialOrder {
  int state;
  int report;
};

}  // namespace streamgate
