#include "master/service/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "common/file.h"
#include "common/log.h"
#include "common/system_error.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

Error failed(const std::string& what, const std::string& path) {
  return system_error(what + " " + path);
}

Result<void> create_log_file(const std::string& path, const std::optional<Account>& account) {
  // Root follows links of root only: fchown() through another user's link would give that user the
  // file at its end.
  struct stat named {};
  const bool is_link = ::lstat(path.c_str(), &named) == 0 && S_ISLNK(named.st_mode);
  const int follow = !account || (is_link && named.st_uid == 0) ? 0 : O_NOFOLLOW;
  const UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | follow, 0640));
  if (!file.valid()) return failed("cannot open the log", path);
  if (!account) return {};
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return failed("cannot read the owner of the log", path);
  // A terminal or a pipe (/dev/stdout in a container) keeps its owner.
  if (!S_ISREG(info.st_mode) || info.st_uid == account->uid) return {};
  if (::fchown(file.get(), account->uid, account->gid) != 0) return failed("cannot chown", path);
  return {};
}

// Writes a temporary file and renames it, so that no reader sees a partial file. O_EXCL, because
// another user may have put a link at the temporary name to make a root master overwrite a file.
Result<void> replace_file(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.valid()) return failed("cannot write", fresh);
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size()) && ::rename(fresh.c_str(), path.c_str()) == 0) {
    return {};
  }
  const Error error = failed("cannot write", path);
  ::unlink(fresh.c_str());
  return error;
}

std::optional<pid_t> named_by(const std::string& pid_file) {
  const auto text = read_file(pid_file, kMaxSmallFileBytes);
  return text ? pid_in(*text) : std::nullopt;
}

// Whether another service with this pid file has been started, as happens while the last streams of
// this service drain.
bool names_another(const std::string& pid_file) {
  return named_by(pid_file).value_or(::getpid()) != ::getpid();
}

}  // namespace

Result<void> open_log_files(const LogConfig& config, const std::optional<Account>& account) {
  if (config.access != "stderr" && config.access != "off") {
    if (auto created = create_log_file(config.access, account); !created) return created;
  }
  if (config.error != "stderr") {
    if (auto created = create_log_file(config.error, account); !created) return created;
  }
  return log::open(config);
}

Result<void> PidFile::move_to(const std::string& path) {
  if (!path.empty()) {
    const std::string text = std::to_string(::getpid()) + "\n";
    if (auto written = replace_file(path, text); !written) return written;
  }
  if (path != path_) remove();
  path_ = path;
  return {};
}

void PidFile::remove() {
  if (path_.empty()) return;
  if (named_by(path_) == ::getpid()) ::unlink(path_.c_str());
  path_.clear();
}

std::vector<std::string> missing_directories(const Config& config) {
  std::vector<std::string> out;
  const auto look = [&out](const std::string& key, const std::string& path) {
    if (!path.starts_with('/')) return;  // empty, or a word like `stderr`
    const std::string directory = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
    struct stat info {};
    if (::stat(directory.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return;
    out.push_back(key + ": there is no directory " + directory);
  };
  look("pid_file", config.pid_file);
  look("log.access", config.log.access);
  look("log.error", config.log.error);
  for (const ListenConfig& entry : config.listen) look("listen", entry.address.path());
  return out;
}

std::string status_path(const std::string& pid_file) {
  return pid_file.empty() ? std::string() : pid_file + ".status";
}

std::optional<pid_t> pid_in(const std::string& text) {
  pid_t pid = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), pid);
  const bool is_all = read.ptr == text.data() + text.size() || *read.ptr == '\n';
  if (read.ec != std::errc() || !is_all || pid < 1) return std::nullopt;
  return pid;
}

uint64_t start_ticks_of(pid_t pid) {
  constexpr int kStartTime = 22;  // proc(5); the second field, a name, may contain any byte
  constexpr int kFirstBehindName = 3;
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", kMaxSmallFileBytes);
  if (!stat) return 0;
  std::istringstream fields(stat->substr(std::min(stat->rfind(')') + 1, stat->size())));
  std::string field;
  for (int i = kFirstBehindName; i <= kStartTime; ++i) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

Result<void> StatusFile::write(const std::string& pid_file, const std::string& text) {
  if (pid_file != pid_file_) remove();
  pid_file_ = pid_file;
  if (pid_file.empty() || names_another(pid_file)) return {};
  return replace_file(status_path(pid_file), text);
}

void StatusFile::remove() {
  if (!pid_file_.empty() && !names_another(pid_file_)) ::unlink(status_path(pid_file_).c_str());
  pid_file_.clear();
}

}  // namespace streamgate
