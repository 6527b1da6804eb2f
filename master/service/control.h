// `streamgate -s ORDER`: signals the running service and waits for the outcome. Runs in a process
// of its own.
#pragma once

#include "master/config/loader.h"
#include "master/service/running_service.h"

namespace streamgate {

enum class ServiceOrder { reload, stop, quit, reopen, status, streams };

// The form in which `status` and `streams` answer.
enum class OutputForm { text, json };

// Exit codes of `-s`, after the Linux Standard Base.
constexpr int kExitOrderFailed = 1;
constexpr int kExitNotRunning = 3;

constexpr int exit_code_of(const NoService& none) {
  return none.kind == NoService::Kind::not_running ? kExitNotRunning : kExitOrderFailed;
}

// Finds the service by the pid file of `loaded`; other keys may have problems. Reports to stdout
// and stderr. Returns the exit code: 0 if the order was carried out. Every wait is bounded.
int control_service(ServiceOrder order, OutputForm form, const LoadedConfig& loaded);

}  // namespace streamgate
