#include "worker/exchange/access_log.h"

#include <charconv>

#include "common/ascii.h"
#include "common/log.h"

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

}  // namespace

AccessLog::AccessLog(const LogConfig& config, TimerWheel& wheel, Counters& counters)
    : config_(config), counters_(counters), flush_deadline_(wheel, this, call<&AccessLog::flush>) {}

AccessLog::~AccessLog() { flush(); }

Result<void> AccessLog::open() {
  if (config_.access == "stderr" || config_.access == "off") return {};
  auto file = LogSink::open(config_, config_.access);
  if (!file) return file.error();
  flush();
  file_ = *std::move(file);
  return {};
}

void AccessLog::write(const AccessRecord& record) {
  if (config_.access == "off") return;
  if (pending_.size() > kMostPendingBytes) {
    ++dropped_;
    return count(counters_, Counter::access_lines_dropped);
  }
  line_.clear();
  line_.append(log::time_text());
  line_.append_row(std::string_view(" access id="), record.id);
  append(line_, " client=", record.client);
  line_.append_row(std::string_view(" method="), record.method);
  // Only a target that is no path of ours has something to hide.
  if (ascii::find_any<';', '@', '#'>(record.route) == record.route.npos) {
    append(line_, " route=", record.route);
  } else {
    append_redacted(" route=", record.route);
  }
  append(line_, " status=", record.status);
  line_.append_row(std::string_view(" reason="), record.reason);
  append(line_, " bytes=", static_cast<int64_t>(record.body_bytes));
  append(line_, " ms=", record.duration_ms);
  if (!record.upstream.empty() || !record.redacted_upstream.empty()) {
    if (record.redacted_upstream.empty()) {
      append_redacted(" upstream=", record.upstream);
    } else {
      append(line_, " upstream=", record.redacted_upstream);
    }
    append(line_, " upstream_status=", record.upstream_status);
    append(line_, " attempts=", record.attempts);
    append(line_, " reused=", record.reused_connection ? 1 : 0);
    append(line_, " playlist=", record.playlist ? 1 : 0);
    if (record.resumed > 0) append(line_, " resumed=", record.resumed);
    if (record.discontinuities > 0) append(line_, " discontinuities=", record.discontinuities);
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
  LogSink& sink = file_ ? *file_ : LogSink::standard_error();
  pending_.erase(0, sink.write(pending_));
  if (!pending_.empty()) return flush_deadline_.arm(kFlushInterval);
  if (dropped_ == 0) return;
  log::warn("log.dropped", {{"log", "access"}, {"count", dropped_}});
  dropped_ = 0;
}

}  // namespace streamgate
