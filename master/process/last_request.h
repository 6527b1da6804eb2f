// The request that a dead worker was serving, from the worker's column. Runs in the master.
#pragma once

#include <string>

#include "common/scoreboard.h"

namespace streamgate {

struct LastRequest {
  bool is_running = false;  // the worker died in a callback of this request
  std::string text;         // empty: none; may hold any bytes: quote it
  std::string step;
};

// The worker may have been compromised, so the content of `served` is not trusted.
LastRequest read_last_request(const ServedRequest& served);

}  // namespace streamgate
