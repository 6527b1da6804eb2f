// What the master that serves hands to the trial of a new program file, on its command line.
#pragma once

namespace streamgate {

// The descriptors of the Handover's memory file and of the pipe for the verdict.
struct TrialOrder {
  int state;
  int report;
};

}  // namespace streamgate
