// The forms of log lines for receivers that keep the time and the priority themselves: the journal
// and syslog. Pure, except is_journal().
#pragma once

#include <string>
#include <string_view>

#include "common/config.h"

namespace streamgate {

// A priority of RFC 5424 6.2.1 (3: error, 4: warning, 5: notice, 6: info, 7: debug) and the line
// without the time of an event or of an access. `line` is a line of a log, or a message that begins
// with `streamgate: `; any other line is info. A JSON line stays whole.
struct PriorityLine {
  int priority;
  std::string_view text;
};
PriorityLine with_priority(std::string_view line);

// `<3>error worker.died ...`, as sd-daemon(3) describes.
std::string journal_line(std::string_view line);

// `<27>Nov 27 04:14:51 streamgate[812]: error worker.died ...`: the form of RFC 3164 without a host
// that syslog(3) sends. Longer lines are cut to 60,000 bytes. `line` may end with a line break.
std::string syslog_message(std::string_view line, const SyslogConfig& config);

// Whether `fd` is the journal's, as the variable JOURNAL_STREAM of systemd says.
bool is_journal(int fd);

}  // namespace streamgate
