#include "worker/exchange/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "common/log.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

constexpr size_t kMostPendingBytes = size_t{256} * 1024;
constexpr size_t kFlushBytes = size_t{32} * 1024;
constexpr std::chrono::milliseconds kFlushInterval{100};

// `key` includes the blank before it and the `=` behind it.
void append(TextBuffer& line, std::string_view key, std::string_view value) {
  line.append(key);
  if (log::needs_quotes(value)) return line.append(log::quote(value));
  line.append(value);
}

void append(TextBuffer& line, std::string_view key, int64_t value) {
  constexpr size_t kMostDigits = 20;
  line.append(key);
  char* const digits = line.room(kMostDigits);
  line.advance_to(std::to_chars(digits, digits + kMostDigits, value).ptr);
}

bool can_write(int fd) {
  pollfd entry{fd, POLLOUT, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT) != 0;
}

}  // namespace

AccessLog::AccessLog(const LogConfig& config, TimerWheel& wheel, Counters& counters)
    : config_(config), counters_(counters), flush_deadline_(wheel, this, call<&AccessLog::flush>) {}

AccessLog::~AccessLog() { flush(); }

Result<void> AccessLog::open() {
  if (config_.access == "stderr" || config_.access == "off") return {};
  UniqueFd file(::open(config_.access.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!file.valid()) {
    return system_error("cannot open the log " + config_.access);
  }
  flush();
  file_ = std::move(file);
  return {};
}

void AccessLog::write(const AccessRecord& record) {
  if (config_.access == "off") return;
  if (pending_.size() > kMostPendingBytes) return count(counters_, Counter::access_lines_dropped);
  line_.clear();
  line_.append(log::time_text());
  line_.append(" access");
  append(line_, " client=", record.client);
  append(line_, " method=", record.method);
  append(line_, " route=", record.route);
  append(line_, " status=", record.status);
  append(line_, " reason=", record.reason);
  append(line_, " bytes=", static_cast<int64_t>(record.body_bytes));
  append(line_, " ms=", record.duration_ms);
  if (!record.upstream.empty()) {
    append_redacted(" upstream=", record.upstream);
    append(line_, " upstream_status=", record.upstream_status);
    append(line_, " attempts=", record.attempts);
    append(line_, " reused=", record.reused_connection ? 1 : 0);
    append(line_, " playlist=", record.playlist ? 1 : 0);
    if (record.resumed > 0) append(line_, " resumed=", record.resumed);
  }
  if (!record.detail.empty()) append_redacted(" detail=", record.detail);
  line_.append("\n");
  pending_ += line_.text();
  if (pending_.size() >= kFlushBytes) return flush();
  if (!flush_deadline_.armed()) flush_deadline_.arm(kFlushInterval);
}

void AccessLog::append_redacted(std::string_view key, std::string_view value) {
  redacted_.clear();
  log::append_redacted(value, redacted_);
  append(line_, key, redacted_);
}

void AccessLog::flush() {
  const int fd = file_.valid() ? file_.get() : STDERR_FILENO;
  while (!pending_.empty() && can_write(fd)) {
    // A pipe that polls writable takes PIPE_BUF bytes without blocking. Only whole lines are
    // written, so that lines of several workers do not mix.
    size_t size = std::min<size_t>(pending_.size(), file_.valid() ? pending_.size() : 4096);
    const size_t line_end = pending_.rfind('\n', size - 1);
    if (line_end != std::string::npos) size = line_end + 1;
    const ssize_t written = ::write(fd, pending_.data(), size);
    if (written <= 0) break;
    pending_.erase(0, static_cast<size_t>(written));
  }
  if (!pending_.empty()) flush_deadline_.arm(kFlushInterval);
}

}  // namespace streamgate
