// `streamgate explain`: explains one URL in a process of its own, without the service.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "common/config.h"

namespace streamgate {

struct ExplainOrder {
  std::string url;  // of an upstream, or a link to a proxy
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool is_json = false;
  std::chrono::milliseconds limit{10'000};
};

// Prints the report to stdout. Returns the exit status: the number of the Verdict. This process
// does not see the connections of the running service, so upstream.max_connections does not count
// them.
int explain_command(const Config& config, const ExplainOrder& order);

}  // namespace streamgate
