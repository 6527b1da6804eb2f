// The access log: one line for each finished exchange and each refused request. Lines are gathered
// and written a few times a second, so a request costs no system call for its line. The worker
// never waits for the log. If the log takes nothing, up to 256 KiB are kept and further lines are
// dropped and counted. After the kept lines have been written, or when the worker ends without
// them, the event `log.dropped` has the count.
//
// One per worker. The worker opens the file itself; stderr is inherited.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/config.h"
#include "common/counters.h"
#include "common/log_sink.h"
#include "common/result.h"
#include "worker/exchange/access_line.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class AccessLog {
 public:
  AccessLog(const LogConfig& config, TimerWheel& wheel, Counters& counters,
            AccessLine::Origin origin);
  // Writes what the log takes now. The other lines count as dropped.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // Opens the file, or opens it again after a rotation. On failure the old file stays open.
  Result<void> open();
  // Whether the lines have that field. If not, the caller need not compute its value.
  bool has(AccessField field) const { return (fields_ >> static_cast<unsigned>(field) & 1U) != 0; }
  // Copies the record. While more than 256 KiB wait to be written, the line is dropped and counted.
  void write(const AccessRecord& record);
  // Writes the lines that the file takes without blocking, and tries the others again later.
  void flush();

 private:
  void report_dropped();

  const LogConfig& config_;
  Counters& counters_;
  std::optional<LogSink> file_;  // none: stderr
  std::string pending_;
  uint64_t dropped_ = 0;  // not reported yet
  AccessLine line_;
  LogLevel lowest_ = LogLevel::debug;  // the level of the lines that are written
  bool is_off_;
  uint32_t fields_ = 0;  // of the lines; a bit for each
  Deadline flush_deadline_;
};

}  // namespace streamgate
