#include "worker/http/head_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <iterator>

#include "worker/http/grammar.h"

namespace streamgate {
namespace {

struct Phrase {
  int status;
  std::string_view text;
};

// RFC 9110 15, RFC 6585 and RFC 5842; in the order of the status.
constexpr Phrase kPhrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {508, "Loop Detected"},
};

// The fields that scripts may read in addition to the CORS-safelisted ones (Fetch standard 3.2.6).
// The header has no wildcard for prefixes, so each icy-* field is listed.
#define STREAMGATE_EXPOSED                                                                      \
  "Access-Control-Expose-Headers: Content-Length, Content-Range, Accept-Ranges, Content-Type, " \
  "ETag, Date, Age, Retry-After, X-Streamgate-Cache, X-Streamgate-Error, X-Streamgate-Id, "     \
  "X-Streamgate-Upstream-Status, icy-br, icy-description, icy-genre, icy-metaint, icy-name, "   \
  "icy-url\r\n"                                                                                 \
  "Cross-Origin-Resource-Policy: cross-origin\r\n"
constexpr std::string_view kForAnyOrigin =
    "Access-Control-Allow-Origin: *\r\n" STREAMGATE_EXPOSED "Timing-Allow-Origin: *\r\n";
// A cache must not serve the answer for one origin to another origin (Fetch standard 3.2.7).
constexpr std::string_view kForSomeOrigins = STREAMGATE_EXPOSED "Vary: Origin\r\n";
#undef STREAMGATE_EXPOSED

bool allows_any(const CorsConfig& config) {
  return !config.allow_origin.empty() && config.allow_origin.front() == "*";
}

constexpr std::string_view kColon = ": ";
constexpr std::string_view kLineEnd = "\r\n";

std::array<char, 20> digits_of(uint64_t value, size_t& length) {
  std::array<char, 20> digits{};
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  length = static_cast<size_t>(result.ptr - digits.data());
  return digits;
}

}  // namespace

std::string_view http_date() {
  // Not strftime: its names depend on the locale.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static time_t written_second = -1;
  static char text[40];
  const time_t now = ::time(nullptr);
  if (now != written_second) {
    tm parts{};
    ::gmtime_r(&now, &parts);
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday],
                  parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                  parts.tm_min, parts.tm_sec);
    written_second = now;
  }
  return text;
}

std::string_view reason_phrase(int status) {
  const auto* found =
      std::lower_bound(std::begin(kPhrases), std::end(kPhrases), status,
                       [](const Phrase& row, int wanted) { return row.status < wanted; });
  return found != std::end(kPhrases) && found->status == status ? found->text : "Unknown";
}

void HeadWriter::request_line(std::string_view method, std::string_view path_and_query) {
  append(method);
  append(" ");
  append(path_and_query);
  append(" HTTP/1.1\r\n");
}

void HeadWriter::status_line(int status) {
  size_t length = 0;
  const auto digits = digits_of(static_cast<uint64_t>(status), length);
  append("HTTP/1.1 ");
  append({digits.data(), length});
  append(" ");
  append(reason_phrase(status));
  append("\r\n");
}

void HeadWriter::field(std::string_view name, std::string_view value) {
  if (!http::is_field_value(value)) return;
  append_row(name, kColon, value, kLineEnd);
}

void HeadWriter::number(std::string_view name, uint64_t value) {
  size_t length = 0;
  const auto digits = digits_of(value, length);
  field(name, std::string_view(digits.data(), length));
}

Cors cors_for(const CorsConfig& config, const HeaderFields& client) {
  if (config.allow_origin.size() == 1) return config;
  return {config, field_or_empty(client, "Origin")};
}

void HeadWriter::cors(const Cors& cors) {
  if (allows_any(cors.config)) return raw_lines(kForAnyOrigin);
  if (cors.config.allow_origin.empty()) return;
  const std::vector<std::string>& allowed = cors.config.allow_origin;
  const bool is_allowed = std::find(allowed.begin(), allowed.end(), cors.origin) != allowed.end();
  if (is_allowed || allowed.size() == 1) {
    field("Access-Control-Allow-Origin", is_allowed ? cors.origin : allowed.front());
    if (cors.config.allow_credentials) raw_lines("Access-Control-Allow-Credentials: true\r\n");
  }
  raw_lines(kForSomeOrigins);
  // The whole list of origins: a request for media without CORS has no Origin.
  for (const std::string& origin : allowed) field("Timing-Allow-Origin", origin);
}

void HeadWriter::connection(bool keep_alive, int client_minor_version) {
  if (!keep_alive) {
    raw_lines("Connection: close\r\n");
  } else if (client_minor_version == 0) {
    raw_lines("Connection: keep-alive\r\n");
  }
}

}  // namespace streamgate
