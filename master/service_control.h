// `streamgate -s ORDER`: tells the running service what to do and waits for what comes of it. Runs
// in a process of its own, beside the master.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "master/config_loader.h"

namespace streamgate {

enum class ServiceOrder { reload, stop, quit, reopen, status };

// Exit codes of `-s`, after the Linux Standard Base.
constexpr int kExitOrderFailed = 1;
constexpr int kExitNotRunning = 3;

// The signal's value (sigqueue) that makes a SIGUSR2 a request to write the status file, and only
// that.
constexpr int kWriteStatusOnly = 1;

// The other running service, if there is one, that this pid file belongs to. One that is stopping
// has given it up. In any process.
std::optional<pid_t> serving_master(const std::string& pid_file);

// Finds the service by the pid file of `loaded`, which may have problems elsewhere. Reports to
// stdout and stderr; returns the exit code: 0 if the order was carried out. Every wait is bounded.
int control_service(ServiceOrder order, const LoadedConfig& loaded);

}  // namespace streamgate
