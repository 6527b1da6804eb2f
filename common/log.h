// The event log: one line per event, `<time> <level> <event> key=value ...`, or a JSON object with
// `time`, `level`, `event` and the keys. The event name is stable; data is in the values only. A
// value of more than 2 KiB is cut. Levels: error, the proxy failed to serve someone; warn,
// recovered, or an upstream failed; info, processes start and end, the configuration changes;
// debug, the steps of exchanges.
//
// One log per process. The master opens it; workers inherit the descriptor across fork. Logging
// never waits: a line that the log does not take at once is dropped and counted. As soon as the log
// takes lines again, `log.dropped count=N` is the next one.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/config.h"
#include "common/result.h"

namespace streamgate::log {

struct Field {
  std::string_view key;
  std::string value;
  bool is_number = false;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  template <class T>
  requires std::is_arithmetic_v<T> Field(std::string_view k, T v)
      : key(k), value(std::to_string(v)), is_number(true) {}
};

using Fields = std::initializer_list<Field>;

// Opens the file of the configuration, or opens it again after a rotation. On failure the previous
// log stays in use.
Result<void> open(const LogConfig& config);
// Whether some event of that level is logged. The levels by event are checked later.
bool enabled(LogLevel level);
// The entry for that event: the one with its name, else the one of its area; null: none.
const EventLevel* find_level(const std::vector<EventLevel>& levels, std::string_view event);
std::string_view name_of(LogLevel level);  // `debug`, ...
bool goes_to_stderr();

// Logs `log.dropped` if lines have been dropped and the log takes lines again. Every line does that
// first; a process that logs rarely calls this once a second.
void report_dropped();

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warn(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

// `value` as it is written to a line: quoted if it has a blank, a quote or `=`; control bytes,
// quotes and bytes above 0x7e are escaped, so that an event is always one line.
std::string quote(std::string_view value);
void append_quoted(std::string_view value, std::string& out);
// The same with at most `most` bytes (8 or more): a longer value is cut and ends with `...`.
void append_quoted(std::string_view value, size_t most, std::string& out);
bool needs_quotes(std::string_view value);

// A URL without its secrets. `*` replaces the userinfo, the values of the query and of path
// parameters, query text and parameters without a `=`, the fragment, and the carry of `/at/`.
// Also for a text with one URL in it.
std::string redact(std::string_view url);
void append_redacted(std::string_view url, std::string& out);

// The current time, as `2026-01-02T03:04:05.678Z`. Valid until the next call.
std::string_view time_text();

}  // namespace streamgate::log
