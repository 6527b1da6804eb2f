// Reports that the master writes when `streamgate -s` asks for them: files beside the pid file that
// only its user may read, because they have addresses of clients and URLs. Each kind has a file of
// its own, so that orders do not disturb each other.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.h"

namespace streamgate {

// The number is the value of the signal that asks for it (SIGUSR2, sigqueue).
enum class ReportKind { status_json = 2, streams = 3, streams_json = 4 };

// The report that this value asks for; none if it asks for none.
std::optional<ReportKind> report_of_signal(int value);

// Called in the master. Does nothing if the pid file names another service by now.
Result<void> write_report(const std::string& pid_file, ReportKind report, const std::string& body);
void remove_reports(const std::string& pid_file);

// In any process: the body of the report if the master with that process id wrote it at `since_us`
// (CLOCK_MONOTONIC) or later.
std::optional<std::string> read_report(const std::string& pid_file, ReportKind report, pid_t master,
                                       int64_t since_us);

}  // namespace streamgate
