// The access log: one line for each finished exchange and each refused request. Lines are gathered
// and written a few times a second, so a request costs no system call for its line. The worker
// never waits for the log. If the log takes nothing, up to 256 KiB are kept and further lines are
// dropped and counted. After the kept lines have been written, the event `log.dropped` has the
// count.
//
// One per worker. The worker opens the file itself; stderr is inherited.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/log_sink.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "worker/loop/text_buffer.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

struct AccessRecord {
  std::string_view client;   // its address
  std::string_view id = {};  // of the exchange
  std::string_view method = {};
  std::string_view route = {};   // `/stream`, without the query
  int status = 0;                // as sent to the client; 0: none went out
  std::string_view reason = {};  // `ok`, or why it failed
  std::string_view detail = {};  // about the failure; may be empty
  uint64_t body_bytes = 0;       // to the client
  int64_t duration_ms = 0;
  std::string_view upstream = {};  // the URL that was tried last; redacted here. Empty: none
  std::string_view redacted_upstream = {};  // the same, redacted by the caller; used if not empty
  int upstream_status = 0;
  unsigned attempts = 0;         // requests sent upstream
  unsigned resumed = 0;          // times that a truncated body was resumed
  unsigned discontinuities = 0;  // times that another body continued a live body
  bool reused_connection = false;
  bool playlist = false;
};

class AccessLog {
 public:
  AccessLog(const LogConfig& config, TimerWheel& wheel, Counters& counters);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // Opens the file, or opens it again after a rotation. On failure the old file stays open.
  Result<void> open();
  // Copies the record. While more than 256 KiB wait to be written, the line is dropped and counted.
  void write(const AccessRecord& record);
  // Writes the lines that the file takes without blocking, and tries the others again later.
  void flush();

 private:
  void append_redacted(std::string_view key, std::string_view value);

  const LogConfig& config_;
  Counters& counters_;
  std::optional<LogSink> file_;  // none: stderr
  std::string pending_;
  uint64_t dropped_ = 0;  // not reported yet
  TextBuffer line_;       // a member, like redacted_, to reuse its memory
  std::string redacted_;
  Deadline flush_deadline_;
};

}  // namespace streamgate
