#include "common/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "common/system_error.h"
#include "common/unique_fd.h"

namespace streamgate::log {
namespace {

// The only mutable global of the program, so that a function needs no parameter to log.
struct Sink {
  UniqueFd file;  // not valid: stderr
  LogLevel level = LogLevel::info;
};

Sink& sink() {
  static Sink the_sink;
  return the_sink;
}

// The bytes that need no quotes.
constexpr std::array<bool, 256> kIsPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = '!'; c < 0x7f; ++c)
    plain[static_cast<size_t>(c)] = c != '"' && c != '\\' && c != '=';
  return plain;
}();

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

void write_line(LogLevel level, std::string_view event, Fields fields) {
  if (!enabled(level)) return;
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
    line += quote(field.value);
  }
  line += '\n';
  const int fd = sink().file.valid() ? sink().file.get() : STDERR_FILENO;
  [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
}

}  // namespace

Result<void> open(const LogConfig& config) {
  UniqueFd file;
  if (config.error != "stderr") {
    file.reset(::open(config.error.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (!file.valid()) {
      return system_error("cannot open the log " + config.error);
    }
  }
  sink().file = std::move(file);
  sink().level = config.level;
  return {};
}

bool enabled(LogLevel level) { return level >= sink().level; }

bool goes_to_stderr() { return !sink().file.valid(); }

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

std::string quote(std::string_view value) {
  std::string out;
  append_quoted(value, out);
  return out;
}

void append_redacted(std::string_view url, std::string& out) {
  const size_t query = url.find('?');
  std::string_view head = url.substr(0, query);
  const size_t slashes = head.find("://");
  if (slashes != std::string_view::npos) {
    const size_t start = slashes + 3;
    const size_t slash = head.find('/', start);
    const size_t at = head.substr(0, slash).rfind('@');
    if (at != std::string_view::npos && at >= start) {
      out += head.substr(0, start);
      out += "*@";
      head = head.substr(at + 1);
    }
  }
  out += head;
  if (query == std::string_view::npos) return;
  bool in_value = false;
  for (const char c : url.substr(query)) {
    if (c == '&' || c == '?') {
      in_value = false;
      out += c;
    } else if (!in_value) {
      out += c;
      if (c == '=') {
        in_value = true;
        out += '*';
      }
    }
  }
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
