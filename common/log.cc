#include "common/log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <optional>

#include "common/ascii.h"
#include "common/json_string.h"
#include "common/log_sink.h"

namespace streamgate::log {
namespace {

// A global, so that a function needs no parameter to log.
struct EventLog {
  std::optional<LogSink> file;  // none: stderr
  LogLevel level = LogLevel::info;
  LogLevel lowest = LogLevel::info;  // of `level` and of all `levels`
  std::vector<EventLevel> levels = {};
  bool is_json = false;
  uint64_t dropped = 0;  // lines that the sink refused, not reported yet
  pid_t dropped_by = 0;

  LogSink& sink() { return file ? *file : LogSink::standard_error(); }
};

EventLog& the_log() {
  static EventLog log;
  return log;
}

// The bytes that need no quotes.
constexpr std::array<bool, 256> kIsPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = '!'; c < 0x7f; ++c)
    plain[static_cast<size_t>(c)] = c != '"' && c != '\\' && c != '=';
  return plain;
}();

constexpr size_t kMaxValueBytes = size_t{2} * 1024;

std::string json_line_of(LogLevel level, std::string_view event, Fields fields) {
  std::string line = R"({"time":")" + std::string(time_text());
  line += R"(","level":")" + std::string(name_of(level));
  line += R"(","event":")" + std::string(event);
  line += R"(","pid":)" + std::to_string(::getpid());
  for (const Field& field : fields) {
    line += ",\"" + std::string(field.key) + "\":";
    if (field.is_number) {
      line += field.value;
    } else {
      append_json_string(field.value, kMaxValueBytes, line);
    }
  }
  line += "}\n";
  return line;
}

std::string line_of(LogLevel level, std::string_view event, Fields fields) {
  if (the_log().is_json) return json_line_of(level, event, fields);
  std::string line;
  line.reserve(256);
  line += time_text();
  line += ' ';
  line += name_of(level);
  line += ' ';
  line += event;
  line += " pid=";
  line += std::to_string(::getpid());
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_quoted(field.value, kMaxValueBytes, line);
  }
  line += '\n';
  return line;
}

bool is_logged(LogLevel level, std::string_view event) {
  const EventLog& log = the_log();
  const EventLevel* const own = log.levels.empty() ? nullptr : find_level(log.levels, event);
  if (own == nullptr) return level >= log.level;
  return own->level && level >= *own->level;
}

void write_line(LogLevel level, std::string_view event, Fields fields) {
  if (!enabled(level) || !is_logged(level, event)) return;
  report_dropped();
  EventLog& log = the_log();
  if (log.dropped == 0 && log.sink().write(line_of(level, event, fields)) > 0) return;
  ++log.dropped;
  log.dropped_by = ::getpid();
}

// Removes the text before the first of `ends` from `rest` and returns it.
std::string_view take_until(std::string_view& rest, std::string_view ends) {
  // find_first_of() calls memchr() for each byte.
  const size_t end = ends.size() == 1 ? rest.find(ends.front()) : rest.find_first_of(ends);
  const std::string_view out = rest.substr(0, end);
  rest.remove_prefix(out.size());
  return out;
}

// `name=*`, or `*` if there is no name. A token may look like a name: without a value, with the
// padding of base64, or longer than names are.
void append_redacted_pair(std::string_view pair, std::string& out) {
  constexpr size_t kMaxNameBytes = 32;
  if (pair.empty()) return;
  const std::string_view name = pair.substr(0, pair.find('='));
  const bool is_name = name.size() < pair.size() && !name.empty() && name.size() <= kMaxNameBytes &&
                       !pair.ends_with("==") && std::all_of(name.begin(), name.end(), [](char c) {
                         return ascii::is_alpha(c) || ascii::is_digit(c) || c == '_' || c == '-' ||
                                c == '.' || c == '[' || c == ']';
                       });
  if (is_name) {
    out += name;
    out += '=';
  }
  out += '*';
}

// Pairs, separated by `separator`.
void append_redacted_pairs(std::string_view pairs, char separator, std::string& out) {
  while (true) {
    append_redacted_pair(take_until(pairs, {&separator, 1}), out);
    if (pairs.empty()) return;
    out += separator;
    pairs.remove_prefix(1);
  }
}

// Without its userinfo. A `@` after the host is data.
void append_redacted_authority(std::string_view authority, std::string& out) {
  const size_t at = authority.rfind('@');
  if (at == std::string_view::npos) {
    out += authority;
  } else {
    out += '*';
    out += authority.substr(at);
  }
}

// `; ` is no path parameter: the value may be a sentence with a URL in it.
void append_redacted_segment(std::string_view segment, std::string& out) {
  size_t start = segment.find(';');
  while (segment.substr(std::min(start, segment.size())).starts_with("; ")) {
    start = segment.find(';', start + 1);
  }
  out += segment.substr(0, start);
  if (start < segment.size()) append_redacted_pairs(segment.substr(start), ';', out);
}

// The rest of a link of the path form after `/at/`: `<carry>/https/<authority>`. The carry may hold
// Authorization, cookies and a grant. Takes nothing from any other path.
void append_redacted_carry(std::string_view& path, std::string& out) {
  std::string_view rest = path;
  const std::string_view carry = take_until(rest, "/");
  rest.remove_prefix(std::min<size_t>(1, rest.size()));
  const std::string_view scheme = take_until(rest, "/");
  const bool is_link = ascii::iequals(scheme, "https") || ascii::iequals(scheme, "http");
  if (!is_link || rest.empty()) return;
  rest.remove_prefix(1);
  out.append(carry == "-" ? "-/" : "*/").append(scheme).append("/");
  append_redacted_authority(take_until(rest, "/"), out);
  path = rest;
}

// The scheme, the host and the path. A path may hold another URL.
void append_redacted_path(std::string_view path, std::string& out) {
  for (bool is_first = true; !path.empty(); is_first = false) {
    const std::string_view segment = take_until(path, "/");
    append_redacted_segment(segment, out);
    const bool is_scheme = segment.ends_with(':') || (is_first && segment.empty());
    if (is_scheme && path.starts_with("//")) {
      out += "//";
      path.remove_prefix(2);
      append_redacted_authority(take_until(path, "/"), out);
    } else if (!path.empty()) {
      out += '/';
      path.remove_prefix(1);
      if (segment == "at") append_redacted_carry(path, out);
    }
  }
}

}  // namespace

Result<void> open(const LogConfig& config) {
  LogSink::standard_error();  // before a fork: a worker may not be allowed to open it again
  std::optional<LogSink> file;
  if (config.error != "stderr") {
    auto opened = LogSink::open(config, config.error);
    if (!opened) return opened.error();
    file = *std::move(opened);
  }
  the_log().file = std::move(file);
  EventLog& log = the_log();
  log.level = log.lowest = config.level;
  log.levels = config.levels;
  for (const EventLevel& entry : log.levels) {
    if (entry.level) log.lowest = std::min(log.lowest, *entry.level);
  }
  log.is_json = config.format == LogFormat::json;
  return {};
}

void report_dropped() {
  EventLog& log = the_log();
  if (log.dropped == 0) return;
  if (log.dropped_by != ::getpid()) {  // a forked child: its parent reports them
    log.dropped = 0;
    return;
  }
  const Fields fields = {{"log", "events"}, {"count", log.dropped}};
  if (log.sink().write(line_of(LogLevel::warn, "log.dropped", fields)) > 0) log.dropped = 0;
}

bool enabled(LogLevel level) { return level >= the_log().lowest; }

const EventLevel* find_level(const std::vector<EventLevel>& levels, std::string_view event) {
  const EventLevel* of_area = nullptr;
  for (const EventLevel& entry : levels) {
    const std::string_view events = entry.events;
    if (events == event) return &entry;
    if (events.ends_with('*') && event.starts_with(events.substr(0, events.size() - 1))) {
      of_area = &entry;
    }
  }
  return of_area;
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "?";
}

bool goes_to_stderr() { return !the_log().file; }

void debug(std::string_view event, Fields fields) { write_line(LogLevel::debug, event, fields); }
void info(std::string_view event, Fields fields) { write_line(LogLevel::info, event, fields); }
void warn(std::string_view event, Fields fields) { write_line(LogLevel::warn, event, fields); }
void error(std::string_view event, Fields fields) { write_line(LogLevel::error, event, fields); }

bool needs_quotes(std::string_view value) {
  return value.empty() || !std::all_of(value.begin(), value.end(), [](char c) {
           return kIsPlain[static_cast<unsigned char>(c)];
         });
}

void append_quoted(std::string_view value, std::string& out) {
  if (!needs_quotes(value)) {
    out += value;
    return;
  }
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c < ' ' || c >= 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
      out += hex;
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_quoted(std::string_view value, size_t most, std::string& out) {
  if (value.size() <= most && !needs_quotes(value)) {
    out += value;
    return;
  }
  // An escape has up to four bytes, and the quotes and the dots have five.
  const size_t start = out.size();
  size_t taken = 0;
  size_t size = 5;
  while (taken < value.size() && size + 4 <= most) {
    const char c = value[taken++];
    const bool is_escaped = c < ' ' || c >= 0x7f;
    size += is_escaped ? 4 : c == '"' || c == '\\' ? 2 : 1;
  }
  if (taken == value.size()) return append_quoted(value, out);
  append_quoted(value.substr(0, taken), out);
  if (out[start] != '"') {  // no byte of the part needs quotes
    out += "...";
  } else {
    out.insert(out.size() - 1, "...");
  }
}

std::string quote(std::string_view value) {
  std::string out;
  append_quoted(value, out);
  return out;
}

void append_redacted(std::string_view url, std::string& out) {
  size_t path_end = std::min(ascii::find_any<'?', '#', ';', '@'>(url), url.size());
  const std::string_view next = url.substr(path_end, 1);
  const bool has_carry = url.substr(0, path_end).find("/at/") != url.npos;
  if (next != ";" && next != "@" && !has_carry) {  // nothing to mask, as nearly always
    out += url.substr(0, path_end);
  } else {
    path_end = std::min(ascii::find_any<'?', '#'>(url), url.size());
    append_redacted_path(url.substr(0, path_end), out);
  }
  url.remove_prefix(path_end);
  if (url.starts_with('?')) {
    out += '?';
    url.remove_prefix(1);
    append_redacted_pairs(take_until(url, "#"), '&', out);
  }
  if (!url.empty()) out += "#*";
}

std::string redact(std::string_view url) {
  std::string out;
  append_redacted(url, out);
  return out;
}

std::string_view time_text() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  // A busy worker writes many lines a second: the calendar part is computed once a second.
  static time_t written_second = -1;
  static char text[] = "0000-00-00T00:00:00.000Z";
  constexpr size_t kMillisecondsAt = 20;
  if (now.tv_sec != written_second) {
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    std::strftime(text, kMillisecondsAt, "%Y-%m-%dT%H:%M:%S", &parts);
    text[kMillisecondsAt - 1] = '.';  // in place of the NUL of strftime
    written_second = now.tv_sec;
  }
  auto ms = static_cast<unsigned>(now.tv_nsec / 1'000'000);
  for (size_t i = 3; i-- > 0; ms /= 10)
    text[kMillisecondsAt + i] = static_cast<char>('0' + ms % 10);
  return {text, sizeof text - 1};
}

}  // namespace streamgate::log
