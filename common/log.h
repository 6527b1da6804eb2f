// The event log: one line per event, `<time> <level> <event> key=value ...`. The event name is
// stable and the text never contains data. error: somebody was not served because of us; warn:
// recovered, or the upstream's fault; info: life of processes and configuration; debug: steps of
// exchanges.
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

// Opens (or reopens, after a rotation) what the configuration names. On failure the old one stays.
Result<void> open(const LogConfig& config);
bool enabled(LogLevel level);
bool goes_to_stderr();

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warn(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

// `value` as it stands in a line: quoted if it holds a blank, a quote or `=`; control bytes, quotes
// and bytes above 0x7e escaped, so that one event is always one line.
std::string quote(std::string_view value);
void append_quoted(std::string_view value, std::string& out);
bool needs_quotes(std::string_view value);

// A URL without its secrets: userinfo removed, the values of its query replaced by `*`.
std::string redact(std::string_view url);
void append_redacted(std::string_view url, std::string& out);

// Now, as `2026-01-02T03:04:05.678Z`. Valid until the next call.
std::string_view time_text();

}  // namespace streamgate::log
