// Parses the values of the section `log`. Every error is Reason::bad_request and says how to write
// the value. Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

// The receiver of a log: a word or an absolute path.
Result<std::string> parse_access_log(std::string_view text);
Result<std::string> parse_error_log(std::string_view text);

// The path of a Unix socket.
Result<std::string> parse_socket_path(std::string_view text);

// RFC 3164 5.3: the tag has up to 32 letters and digits. Receivers also accept `-`, `_` and `.`.
Result<std::string> parse_syslog_tag(std::string_view text);

constexpr std::array<std::pair<std::string_view, SyslogFacility>, 10> kSyslogFacilities{
    {{"user", SyslogFacility::user},
     {"daemon", SyslogFacility::daemon},
     {"local0", SyslogFacility::local0},
     {"local1", SyslogFacility::local1},
     {"local2", SyslogFacility::local2},
     {"local3", SyslogFacility::local3},
     {"local4", SyslogFacility::local4},
     {"local5", SyslogFacility::local5},
     {"local6", SyslogFacility::local6},
     {"local7", SyslogFacility::local7}}};

}  // namespace streamgate
