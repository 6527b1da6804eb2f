#include "worker/exchange/access_log.h"

#include <algorithm>

#include "common/log.h"

namespace streamgate {
namespace {

constexpr size_t kMaxPendingBytes = size_t{256} * 1024;
constexpr size_t kFlushBytes = size_t{32} * 1024;
constexpr std::chrono::milliseconds kFlushInterval{100};

}  // namespace

AccessLog::AccessLog(const LogConfig& config, TimerWheel& wheel, Counters& counters,
                     AccessLine::Origin origin)
    : config_(config),
      counters_(counters),
      line_(config, origin),
      is_off_(config.access == "off"),
      flush_deadline_(wheel, this, call<&AccessLog::flush>) {
  if (config.format != LogFormat::combined) {
    for (const AccessField field : config.fields) fields_ |= 1U << static_cast<unsigned>(field);
  }
  const EventLevel* const level = log::find_level(config.levels, "access");
  if (level == nullptr) return;
  lowest_ = level->level.value_or(LogLevel::error);
  is_off_ = is_off_ || !level->level;
}

AccessLog::~AccessLog() {
  flush();
  const auto lost = static_cast<uint64_t>(std::count(pending_.begin(), pending_.end(), '\n'));
  count(counters_, Counter::access_lines_dropped, lost);
  dropped_ += lost;
  report_dropped();
}

Result<void> AccessLog::open() {
  if (config_.access == "stderr" || config_.access == "off") return {};
  auto file = LogSink::open(config_, config_.access);
  if (!file) return file.error();
  flush();
  file_ = *std::move(file);
  return {};
}

void AccessLog::write(const AccessRecord& record) {
  if (is_off_ || record.level < lowest_) return;
  if (pending_.size() > kMaxPendingBytes) {
    ++dropped_;
    return count(counters_, Counter::access_lines_dropped);
  }
  pending_ += line_.write(record);
  if (pending_.size() >= kFlushBytes) return flush();
  if (!flush_deadline_.armed()) flush_deadline_.arm(kFlushInterval);
}

void AccessLog::flush() {
  LogSink& sink = file_ ? *file_ : LogSink::standard_error();
  pending_.erase(0, sink.write(pending_));
  if (!pending_.empty()) return flush_deadline_.arm(kFlushInterval);
  report_dropped();
}

void AccessLog::report_dropped() {
  if (dropped_ == 0) return;
  log::warn("log.dropped", {{"log", "access"}, {"count", dropped_}});
  dropped_ = 0;
}

}  // namespace streamgate
