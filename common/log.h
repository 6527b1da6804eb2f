// The event log: one line per event, `<time> <level> <event> key=value ...`. The event name is
// stable; data is in the values only. Levels: error, the proxy failed to serve someone; warn,
// recovered, or an upstream failed; info, processes start and end, the configuration changes;
// debug, the steps of exchanges.
//
// One log per process. The master opens it; workers inherit the descriptor across fork.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "common/config.h"
#include "common/result.h"

namespace streamgate::log {

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  template <class T>
  requires std::is_arithmetic_v<T> Field(std::string_view k, T v)
      : key(k), value(std::to_string(v)) {}
};

using Fields = std::initializer_list<Field>;

// Opens the file of the configuration, or opens it again after a rotation. On failure the previous
// log stays in use.
Result<void> open(const LogConfig& config);
bool enabled(LogLevel level);
bool goes_to_stderr();

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warn(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

// `value` as it is written to a line: quoted if it has a blank, a quote or `=`; control bytes,
// quotes and bytes above 0x7e are escaped, so that an event is always one line.
std::string quote(std::string_view value);
void append_quoted(std::string_view value, std::string& out);
bool needs_quotes(std::string_view value);

// A URL without its secrets: `*` replaces the userinfo and the values of the query.
std::string redact(std::string_view url);
void append_redacted(std::string_view url, std::string& out);

// The current time, as `2026-01-02T03:04:05.678Z`. Valid until the next call.
std::string_view time_text();

}  // namespace streamgate::log
