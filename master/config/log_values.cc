#include "master/config/log_values.h"

#include <algorithm>

#include "common/ascii.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

constexpr size_t kMaxSocketPath = 107;  // the room in sockaddr_un
constexpr size_t kMaxTagBytes = 32;

Result<std::string> parse_log_path(std::string_view text, std::string_view words) {
  auto path = parse_path(text);
  if (path && !path->empty()) return path;
  return Error{Reason::bad_request, "'" + std::string(text) + "' is neither " + std::string(words) +
                                        " nor an absolute path"};
}

}  // namespace

Result<std::string> parse_access_log(std::string_view text) {
  if (text == "stderr" || text == "syslog" || text == "off") return std::string(text);
  return parse_log_path(text, "stderr, syslog, off");
}

Result<std::string> parse_error_log(std::string_view text) {
  if (text == "stderr" || text == "syslog") return std::string(text);
  return parse_log_path(text, "stderr, syslog");
}

Result<std::string> parse_socket_path(std::string_view text) {
  if (text.starts_with('/') && text.size() <= kMaxSocketPath) return std::string(text);
  return Error{Reason::bad_request,
               "'" + std::string(text) + "' is not an absolute path of at most 107 bytes"};
}

Result<std::string> parse_syslog_tag(std::string_view text) {
  const bool is_tag = std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_' || c == '.';
  });
  if (is_tag && !text.empty() && text.size() <= kMaxTagBytes) return std::string(text);
  return Error{Reason::bad_request, "'" + std::string(text) +
                                        "' is not a tag: write 1 to 32 letters, digits, - . and _"};
}

}  // namespace streamgate
