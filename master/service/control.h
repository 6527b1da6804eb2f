// `streamgate -s ORDER`: tells the running service what to do and waits for what comes of it. Runs
// in a process of its own, beside the master.
#pragma once

#include "master/config/loader.h"

namespace streamgate {

enum class ServiceOrder { reload, stop, quit, reopen, status };

// Exit codes of `-s`, after the Linux Standard Base.
constexpr int kExitOrderFailed = 1;
constexpr int kExitNotRunning = 3;

// Finds the service by the pid file of `loaded`, which may have problems elsewhere. Reports to
// stdout and stderr; returns the exit code: 0 if the order was carried out. Every wait is bounded.
int control_service(ServiceOrder order, const LoadedConfig& loaded);

}  // namespace streamgate
