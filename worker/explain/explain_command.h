// `streamgate explain`: explains one URL in a process of its own, without the service.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "common/config.h"

namespace streamgate {

struct ExplainOrder {
  std::string url;  // or a link to a proxy
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool is_json = false;
  std::chrono::milliseconds limit{10'000};
};

// Prints the report to stdout. Returns the exit status: the number of the Verdict. The connections
// of the running service do not count for upstream.max_connections here.
int explain_command(const Config& config, const ExplainOrder& order);

}  // namespace streamgate
