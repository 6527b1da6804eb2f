#include "master/service/report_file.h"

#include <unistd.h>

#include <array>
#include <string_view>
#include <utility>

#include "common/clock.h"
#include "common/file.h"
#include "master/service/files.h"
#include "master/service/status_report.h"
#include "master/service/text_lines.h"

namespace streamgate {
namespace {

// 128 workers of two generations with all rows of their tables need 60 MiB as JSON.
constexpr size_t kMaxReportBytes = size_t{256} * 1024 * 1024;

constexpr std::array<std::pair<ReportKind, std::string_view>, 3> kSuffixes{
    {{ReportKind::status_json, ".status.json"},
     {ReportKind::streams, ".streams"},
     {ReportKind::streams_json, ".streams.json"}}};

std::string path_of(const std::string& pid_file, ReportKind report) {
  for (const auto& [each, suffix] : kSuffixes) {
    if (each == report) return pid_file + std::string(suffix);
  }
  return {};
}

bool is_ours(const std::string& pid_file) {
  const auto text = read_file(pid_file, kMaxSmallFileBytes);
  return text && pid_in(*text) == ::getpid();
}

}  // namespace

std::optional<ReportKind> report_of_signal(int value) {
  for (const auto& [report, suffix] : kSuffixes) {
    if (static_cast<int>(report) == value) return report;
  }
  return std::nullopt;
}

Result<void> write_report(const std::string& pid_file, ReportKind report, const std::string& body) {
  if (pid_file.empty() || !is_ours(pid_file)) return {};
  const std::string head = "report pid=" + std::to_string(::getpid()) +
                           " written_us=" + std::to_string(monotonic_us()) + "\n";
  return replace_file(path_of(pid_file, report), head + body, 0600, 0);
}

void remove_reports(const std::string& pid_file) {
  if (pid_file.empty() || !is_ours(pid_file)) return;
  for (const auto& [report, suffix] : kSuffixes) ::unlink(path_of(pid_file, report).c_str());
}

std::optional<std::string> read_report(const std::string& pid_file, ReportKind report, pid_t master,
                                       int64_t since_us) {
  const auto text = read_file(path_of(pid_file, report), kMaxReportBytes);
  if (!text) return std::nullopt;
  std::string_view body = *text;
  const std::string head(take_line(body));
  if (status_value(head, "report", "pid") != std::to_string(master)) return std::nullopt;
  const auto written = status_value(head, "report", "written_us");
  if (!written || std::strtoll(written->c_str(), nullptr, 10) < since_us) return std::nullopt;
  return std::string(body);
}

}  // namespace streamgate
