// Where log lines go: a file, syslog, or the stderr that this process has inherited. Lines for the
// journal and for syslog get another form (common/log_form.h). A write never waits for a reader: a
// sink that takes nothing now refuses the line, and the caller counts it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

class LogSink {
 public:
  // The stderr of this process and of the children that it forks later. One for all logs that go
  // there, so that a line that was cut by one of them is completed before the line of another.
  static LogSink& standard_error();
  // A descriptor that other processes may share. Its flags are not changed. The caller keeps it
  // open.
  static LogSink inherited(int fd) { return LogSink(fd); }
  // Opens or creates the file. A FIFO without a reader keeps the lines that fit into it.
  static Result<LogSink> open(const std::string& path);

  // `where` is `syslog`, or the path of a file. Opening syslog never fails: lines are refused while
  // nothing listens on its socket.
  static Result<LogSink> open(const LogConfig& config, const std::string& where);

  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;
  LogSink(LogSink&&) noexcept = default;
  LogSink& operator=(LogSink&&) noexcept = default;

  // Writes complete lines from the start of `lines`, as many as the sink takes now, and returns
  // their bytes. If a full disk cuts a line, its part is removed from a file that open() has
  // opened. Elsewhere the next call writes the rest of a cut line first.
  size_t write(std::string_view lines);
  int fd() const { return fd_; }

 private:
  enum class Kind {
    file,           // write() does not wait for a reader
    non_blocking,   // neither does write() here
    socket,         // send() with MSG_DONTWAIT
    syslog,         // likewise; a datagram for each line
    blocking_pipe,  // splice() with SPLICE_F_NONBLOCK
    blocking_device
  };

  explicit LogSink(const SyslogConfig& syslog);
  explicit LogSink(UniqueFd own);
  explicit LogSink(int inherited);
  size_t write_in_form(std::string_view lines);
  void keep_cut(std::string_view rest);
  bool connect_to_syslog();
  long send_to_syslog(std::string_view message);
  bool take_back(size_t bytes) const;
  bool finish_cut_line();
  bool continues_here() const;
  long put(std::string_view piece) const;

  UniqueFd own_;  // not valid: the descriptor is inherited
  int fd_;
  Kind kind_;
  bool is_journal_ = false;
  SyslogConfig syslog_;   // Kind::syslog
  std::string cut_;       // the rest of a line of which a part has been written
  int cut_by_ = 0;        // the process that wrote the part
  long size_at_cut_ = 0;  // of a file
};

}  // namespace streamgate
