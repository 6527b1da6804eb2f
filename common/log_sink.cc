#include "common/log_sink.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/log_form.h"
#include "common/pipe_pair.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

bool is_non_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

bool is_not_ready(int error) { return error == EAGAIN || error == EINTR || error == ENOBUFS; }

bool is_file(const struct stat& info) { return S_ISREG(info.st_mode) || S_ISBLK(info.st_mode); }

// A second open file description of the same pipe or terminal. O_NONBLOCK belongs to the
// description: set on the inherited one, it would change the terminal of the shell.
UniqueFd reopen_non_blocking(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return UniqueFd(::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

// One buffer moves from a pipe of our own: all of it, or nothing. The flag makes splice() not wait
// for room, independent of the flags of `fd`.
ssize_t splice_whole(int fd, std::string_view piece) {
  const auto own = make_pipe(O_NONBLOCK);
  if (!own) return -1;
  const ssize_t filled = ::write(own->write_end.get(), piece.data(), piece.size());
  if (filled <= 0) return filled;
  return ::splice(own->read_end.get(), nullptr, fd, nullptr, static_cast<size_t>(filled),
                  SPLICE_F_NONBLOCK);
}

bool can_write(int fd) {
  pollfd entry{fd, POLLOUT, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT) != 0;
}

off_t size_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_size : 0;
}

// The lines at the start of `lines` that fit into `limit`, or the start of the first one.
std::string_view first_piece(std::string_view lines, size_t limit) {
  if (lines.size() <= limit) return lines;
  const size_t end = lines.rfind('\n', limit - 1);
  return lines.substr(0, end == std::string_view::npos ? limit : end + 1);
}

}  // namespace

LogSink& LogSink::standard_error() {
  static LogSink the_sink = [] {
    LogSink sink(STDERR_FILENO);
    sink.is_journal_ = is_journal(STDERR_FILENO);
    return sink;
  }();
  return the_sink;
}

Result<LogSink> LogSink::open(const LogConfig& config, const std::string& where) {
  if (where == "syslog") return LogSink(config.syslog);
  return open(where);
}

Result<LogSink> LogSink::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO would otherwise wait for a reader, and a write for room.
  constexpr int kFlags = O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | kFlags, 0640));
  // A FIFO without a reader. As a reader of it, this process can write until a real one comes.
  if (!file.valid() && errno == ENXIO) file.reset(::open(path.c_str(), O_RDWR | kFlags));
  if (!file.valid()) return system_error("cannot open the log " + path);
  return LogSink(std::move(file));
}

LogSink::LogSink(UniqueFd own) : own_(std::move(own)), fd_(own_.get()), kind_(Kind::non_blocking) {
  struct stat info {};
  if (::fstat(fd_, &info) == 0 && is_file(info)) kind_ = Kind::file;
}

// Other processes share the open file description of an inherited descriptor, so its flags stay:
//   file      write() takes what the disk has room for: a part of a line, or ENOSPC. Not opened
//             again, because the new description would begin at offset 0.
//   socket    (journald) MSG_DONTWAIT concerns one call only.
//   pipe      opened again with O_NONBLOCK. If that is not allowed (the pipe of another user), or
//             has no reader, it is spliced to: a poll() before a blocking write() does not suffice,
//             because another writer of the pipe may fill it in between.
//   terminal  opened again likewise. A terminal of another user is polled before each write.
LogSink::LogSink(int inherited) : fd_(inherited), kind_(Kind::file) {
  struct stat info {};
  if (::fstat(fd_, &info) != 0 || is_file(info)) return;
  kind_ = Kind::socket;
  if (S_ISSOCK(info.st_mode)) return;
  kind_ = Kind::non_blocking;
  if (is_non_blocking(fd_)) return;
  own_ = reopen_non_blocking(fd_);
  if (own_.valid()) {
    fd_ = own_.get();
  } else {
    kind_ = S_ISFIFO(info.st_mode) ? Kind::blocking_pipe : Kind::blocking_device;
  }
}

LogSink::LogSink(const SyslogConfig& syslog) : fd_(-1), kind_(Kind::syslog), syslog_(syslog) {
  connect_to_syslog();
}

bool LogSink::connect_to_syslog() {
  own_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  fd_ = own_.get();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!own_.valid() || syslog_.socket.size() >= sizeof address.sun_path) return false;
  syslog_.socket.copy(address.sun_path, sizeof address.sun_path - 1);
  return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// A restarted syslog has a new socket at the same path.
long LogSink::send_to_syslog(std::string_view message) {
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const long sent = ::send(fd_, message.data(), message.size(), kFlags);
  if (sent >= 0 || is_not_ready(errno) || !connect_to_syslog()) return sent;
  return ::send(fd_, message.data(), message.size(), kFlags);
}

// Line by line, for the journal and syslog.
size_t LogSink::write_in_form(std::string_view lines) {
  size_t done = 0;
  while (done < lines.size()) {
    const size_t end = std::min(lines.find('\n', done), lines.size() - 1) + 1;
    const std::string_view line = lines.substr(done, end - done);
    if (kind_ == Kind::syslog) {
      if (send_to_syslog(syslog_message(line, syslog_)) < 0) break;
      done = end;
      continue;
    }
    const std::string text = journal_line(line);
    const long written = put(std::string_view(text).substr(0, PIPE_BUF));
    if (written <= 0) break;
    done = end;
    if (static_cast<size_t>(written) == text.size()) continue;
    keep_cut(std::string_view(text).substr(static_cast<size_t>(written)));
    if (!finish_cut_line()) break;
  }
  return done;
}

void LogSink::keep_cut(std::string_view rest) {
  cut_ = rest;
  cut_by_ = ::getpid();
  size_at_cut_ = size_of(fd_);
}

size_t LogSink::write(std::string_view lines) {
  if (!finish_cut_line()) return 0;
  if (is_journal_ || kind_ == Kind::syslog) return write_in_form(lines);
  // Up to PIPE_BUF bytes are written to a pipe as a whole or not at all, so that lines of several
  // processes do not mix. Only a longer line can be cut there.
  const size_t limit = kind_ == Kind::file ? lines.size() : PIPE_BUF;
  size_t done = 0;
  while (done < lines.size()) {
    const long written = put(first_piece(lines.substr(done), limit));
    if (written <= 0) break;
    done += static_cast<size_t>(written);
    if (lines[done - 1] == '\n') continue;
    const size_t start = lines.substr(0, done).rfind('\n') + 1;
    if (take_back(done - start)) return start;
    const size_t end = std::min(lines.find('\n', done), lines.size() - 1) + 1;
    keep_cut(lines.substr(done, end - done));
    done = end;
    if (!finish_cut_line()) break;
  }
  return done;
}

// On a full disk: removes the part of a line from the end of a file of ours, so that no line of
// another process is appended to it. False if it is not the end any more.
bool LogSink::take_back(size_t bytes) const {
  if (kind_ != Kind::file || !own_.valid()) return false;
  const off_t end = ::lseek(fd_, 0, SEEK_CUR);
  return size_of(fd_) == end && ::ftruncate(fd_, end - static_cast<off_t>(bytes)) == 0;
}

bool LogSink::finish_cut_line() {
  if (cut_.empty()) return true;
  if (!continues_here()) cut_.clear();
  while (!cut_.empty()) {
    const long written = put(std::string_view(cut_).substr(0, PIPE_BUF));
    if (written <= 0) return false;
    cut_.erase(0, static_cast<size_t>(written));
    size_at_cut_ += written;
  }
  return true;
}

// A forked child leaves the line to its parent. A line to which another process has appended its
// own has an end already.
bool LogSink::continues_here() const {
  return cut_by_ == ::getpid() && (kind_ != Kind::file || size_of(fd_) == size_at_cut_);
}

long LogSink::put(std::string_view piece) const {
  switch (kind_) {
    case Kind::socket:
      return ::send(fd_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    case Kind::blocking_pipe:
      return splice_whole(fd_, piece);
    case Kind::blocking_device:
      if (!can_write(fd_)) return -1;
      break;
    case Kind::file:
    case Kind::non_blocking:
    case Kind::syslog:
      break;
  }
  return ::write(fd_, piece.data(), piece.size());
}

}  // namespace streamgate
