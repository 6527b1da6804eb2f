#include "master/service/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <sstream>

#include "common/file.h"
#include "common/log.h"
#include "common/log_sink.h"
#include "common/system_error.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

// More workers and counters make the next status longer than this one.
constexpr size_t kSpareStatusBytes = size_t{8} * 1024;

Error failed(const std::string& what, const std::string& path) {
  return system_error(what + " " + path);
}

Result<void> create_log_file(const std::string& path, const std::optional<Account>& account) {
  // Root follows links of root only: fchown() through another user's link would give that user the
  // file at its end.
  struct stat named {};
  const bool is_link = ::lstat(path.c_str(), &named) == 0 && S_ISLNK(named.st_mode);
  const int follow = !account || (is_link && named.st_uid == 0) ? 0 : O_NOFOLLOW;
  // O_NONBLOCK: a FIFO without a reader must not block the master. It fails with ENXIO here.
  const UniqueFd file(
      ::open(path.c_str(),
             O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | follow, 0640));
  if (!file.valid() && errno == ENXIO) {
    const auto sink = LogSink::open(path);
    return sink ? Result<void>() : sink.error();
  }
  if (!file.valid()) return failed("cannot open the log", path);
  if (!account) return {};
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return failed("cannot read the owner of the log", path);
  // A terminal or a pipe (/dev/stdout in a container) keeps its owner.
  if (!S_ISREG(info.st_mode) || info.st_uid == account->uid) return {};
  if (::fchown(file.get(), account->uid, account->gid) != 0) return failed("cannot chown", path);
  return {};
}

bool write_whole(int fd, const std::string& text) {
  return ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

// For a full disk: writes to the blocks that the file has. A shorter text is filled up with blanks,
// because truncating the file would give blocks back. Only a file that is ours alone: a master that
// runs as root must not write to another file through a link.
bool write_in_place(const std::string& path, std::string text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (info.st_uid != ::geteuid() || info.st_nlink != 1) return false;
  const auto size = static_cast<size_t>(info.st_size);
  if (text.size() < size) text.insert(text.size() - 1, size - text.size(), ' ');
  return write_whole(file.get(), text);
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

Result<void> replace_file(const std::string& path, const std::string& text, mode_t mode,
                          size_t room) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  // O_EXCL: another user may have put a link at this name, to make a root master overwrite a file.
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file.valid()) return failed("cannot write", fresh);
  if (room > 0) ::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(room));
  if (write_whole(file.get(), text) && ::rename(fresh.c_str(), path.c_str()) == 0) return {};
  const Error error = failed("cannot write", path);
  ::unlink(fresh.c_str());
  return error;
}

Result<void> open_log_files(const LogConfig& config, const std::optional<Account>& account) {
  if (config.access.starts_with('/')) {
    if (auto created = create_log_file(config.access, account); !created) return created;
  }
  if (config.error.starts_with('/')) {
    if (auto created = create_log_file(config.error, account); !created) return created;
  }
  return log::open(config);
}

Result<void> PidFile::move_to(const std::string& path) {
  if (!path.empty() && !(path == path_ && named_by(path) == ::getpid())) {
    const std::string text = std::to_string(::getpid()) + "\n";
    if (auto written = replace_file(path, text, 0644, 0); !written) return written;
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
  for (const SocketAddress& address : config.admin.listen) look("admin.listen", address.path());
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
  const std::string path = status_path(pid_file);
  const size_t room = 2 * text.size() + kSpareStatusBytes;
  if (auto written = replace_file(path, text, 0644, room); written) return written;
  if (write_in_place(path, text)) return {};
  ::unlink(path.c_str());  // out of date. Its blocks may be enough for the new one
  return replace_file(path, text, 0644, 0);
}

void StatusFile::remove() {
  if (!pid_file_.empty() && !names_another(pid_file_)) ::unlink(status_path(pid_file_).c_str());
  pid_file_.clear();
}

}  // namespace streamgate
