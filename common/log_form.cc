#include "common/log_form.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr int kError = 3;
constexpr int kWarning = 4;
constexpr int kNotice = 5;
constexpr int kInfo = 6;
constexpr int kDebug = 7;

struct Word {
  std::string_view start;
  int priority;
};

constexpr Word kLevels[] = {
    {"error ", kError}, {"warn ", kWarning}, {"info ", kInfo}, {"debug ", kDebug}};
// Messages of `--check`, of `-s` and of a failed start.
constexpr Word kMessages[] = {
    {"streamgate: warning: ", kWarning}, {"streamgate: note: ", kNotice}, {"streamgate: ", kError}};

// The bytes of `2026-01-02T03:04:05.678Z `; 0 if the line does not begin with a time.
size_t time_bytes(std::string_view line) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00.000Z ";
  if (line.size() < kShape.size()) return 0;
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == '0' ? !ascii::is_digit(line[i]) : line[i] != kShape[i]) return 0;
  }
  return kShape.size();
}

template <size_t N>
int priority_of(std::string_view text, const Word (&words)[N]) {
  const Word* const found = std::find_if(
      words, words + N, [text](const Word& word) { return text.starts_with(word.start); });
  return found == words + N ? kInfo : found->priority;
}

// The local time, as syslog(3) writes it.
std::string_view syslog_time() {
  static time_t written_second = -1;
  static char text[sizeof "Jan 01 00:00:00"];
  const time_t now = ::time(nullptr);
  if (now != written_second) {
    tm parts{};
    ::localtime_r(&now, &parts);
    std::strftime(text, sizeof text, "%b %e %H:%M:%S", &parts);
    written_second = now;
  }
  return {text, sizeof text - 1};
}

// The priority of a JSON line, `{"time":"...","level":"warn","event":"...",...`. An access is info.
int json_priority(std::string_view line) {
  constexpr std::string_view kLevel = R"(","level":")";
  constexpr std::string_view kAccess = R"(","event":"access")";
  const size_t at = line.find(kLevel);
  if (at == line.npos) return kInfo;
  line.remove_prefix(at + kLevel.size());
  const size_t end = std::min(line.find('"'), line.size());
  if (line.substr(end).starts_with(kAccess)) return kInfo;
  for (const Word& level : kLevels) {
    if (level.start.substr(0, level.start.size() - 1) == line.substr(0, end)) return level.priority;
  }
  return kInfo;
}

}  // namespace

PriorityLine with_priority(std::string_view line) {
  if (line.starts_with(R"({"time":")")) return {json_priority(line), line};
  const size_t start = time_bytes(line);
  line.remove_prefix(start);
  return {start > 0 ? priority_of(line, kLevels) : priority_of(line, kMessages), line};
}

std::string journal_line(std::string_view line) {
  const auto [priority, text] = with_priority(line);
  return "<" + std::to_string(priority) + ">" + std::string(text);
}

std::string syslog_message(std::string_view line, const SyslogConfig& config) {
  constexpr size_t kMaxBytes = 60'000;
  auto [priority, text] = with_priority(line);
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::string out = "<" + std::to_string(8 * static_cast<int>(config.facility) + priority) + ">";
  out += syslog_time();
  out += ' ' + config.tag + '[' + std::to_string(::getpid()) + "]: ";
  out += text.substr(0, kMaxBytes);
  return out;
}

bool is_journal(int fd) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || ::fstat(fd, &info) != 0) return false;
  return stream == std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

}  // namespace streamgate
