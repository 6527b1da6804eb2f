// The line of one finished exchange, in the format and with the fields of the configuration.
//
// No byte of a client or an upstream can end a line or forge a field: control bytes, quotes and
// backslashes are escaped. A value that is too long is cut and ends with `...`, so that a line has
// at most PIPE_BUF bytes, and a pipe takes it as a whole.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/reason.h"
#include "worker/http/message.h"
#include "worker/loop/text_buffer.h"

namespace streamgate {

struct AccessRecord {
  std::string_view client;   // its address
  std::string_view id = {};  // of the exchange
  std::string_view method = {};
  std::string_view route = {};   // of logged_route()
  int status = 0;                // as sent to the client; 0: none went out
  std::string_view reason = {};  // `ok`, or why it failed
  std::string_view detail = {};  // about the failure; may be empty
  uint64_t body_bytes = 0;       // to the client
  int64_t duration_ms = 0;
  std::string_view upstream = {};  // the URL that was tried last; redacted here. Empty: none
  std::string_view redacted_upstream = {};  // the same, redacted by the caller; used if not empty
  int upstream_status = 0;
  unsigned attempts = 0;                // requests sent upstream
  unsigned resumed = 0;                 // times that a truncated body was resumed
  unsigned discontinuities = 0;         // times that another body continued a live body
  std::string_view cache_outcome = {};  // empty: there is no cache
  bool reused_connection = false;
  bool playlist = false;
  const RequestHead* head = nullptr;  // of the client; null: it was refused
  std::string_view upstream_host = {};
  std::optional<int64_t> first_byte_ms = {};  // from the request to the upstream's response head
  LogLevel level = LogLevel::info;            // of a failure: access_level()
};

// warn for failures of clients, error for those of upstreams and of the proxy.
constexpr LogLevel access_level(Reason reason) {
  constexpr int kServerError = 500;
  return status_for(reason) >= kServerError ? LogLevel::error : LogLevel::warn;
}

class AccessLine {
 public:
  // The process that writes the lines.
  struct Origin {
    pid_t worker = 0;
    uint64_t generation = 0;
  };

  AccessLine(const LogConfig& config, Origin origin);

  // With its line end. Valid until the next call.
  std::string_view write(const AccessRecord& record);

 private:
  void write_combined(const AccessRecord& record);
  void append_request_line(const AccessRecord& record);

  const LogConfig& config_;
  const Origin origin_;
  const bool has_default_fields_;
  TextBuffer line_;  // a member, like the others, to reuse its memory
  std::string escaped_;
  std::string redacted_;
};

}  // namespace streamgate
