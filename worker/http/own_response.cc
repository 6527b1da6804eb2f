#include "worker/http/own_response.h"

#include "common/json_string.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr size_t kUsualHeadBytes = 760;
constexpr std::string_view kRetryAfter = "Retry-After: 5\r\n";
constexpr std::string_view kMethods = "GET, HEAD, OPTIONS";
constexpr size_t kMaxAllowedHeadersBytes = size_t{4} * 1024;

// A limit of requests a second.
bool is_of_a_second(Cause cause) {
  return cause == Cause::client_requests || cause == Cause::key_requests;
}

bool has_body(int status) { return status != 204 && status != 304; }

// The field names that the browser wants to send, without those that are not tokens; `*` if there
// are none.
std::string allowed_headers(const RequestHead& client) {
  std::string allowed;
  const auto asked = find_field(client.fields, "Access-Control-Request-Headers");
  http::for_each_element(asked.value_or(""), [&](std::string_view name) {
    if (!http::is_token(name) || allowed.size() + name.size() > kMaxAllowedHeadersBytes) return;
    if (!allowed.empty()) allowed += ", ";
    allowed += name;
  });
  return allowed.empty() ? "*" : allowed;
}

}  // namespace

std::string write_own_response(const OwnResponse& response, const Cors& cors) {
  HeadWriter head(kUsualHeadBytes + response.body.size() + response.extra_fields.size());
  head.status_line(response.status);
  if (has_body(response.status)) {
    if (!response.content_type.empty()) head.field("Content-Type", response.content_type);
    head.number("Content-Length", response.body.size());
  }
  head.field("Date", http_date());
  head.raw_lines("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
  if (!response.error_token.empty()) head.field("X-Streamgate-Error", response.error_token);
  head.raw_lines(response.extra_fields);
  head.cors(cors);
  head.connection(response.keep_alive, response.client_minor_version);
  std::string text = std::move(head).finish();
  if (!response.head_only && has_body(response.status)) text += response.body;
  return text;
}

std::string write_error_response(const ErrorResponse& response, const Cors& cors) {
  const Error& error = response.error;
  const ReasonInfo& info = info_of(error.reason);
  std::string body = R"({"error":)";
  append_json_string(info.token, body);
  body += R"(,"message":)";
  append_json_string(info.message, body);
  if (!error.client_detail.empty()) {
    body += R"(,"detail":)";
    append_json_string(error.client_detail, body);
  }
  body += R"(,"status":)";
  body += std::to_string(info.status);
  body += R"(,"id":)";
  append_json_string(response.id, body);
  body += "}\n";

  OwnResponse own;
  own.status = info.status;
  own.content_type = "application/json";
  own.body = body;
  own.error_token = info.token;
  if (error.reason == Reason::upstream_busy) own.extra_fields = kRetryAfter;
  // Required (RFC 9110 15.5.6).
  if (info.status == 405) own.extra_fields = "Allow: GET, HEAD, OPTIONS\r\n";
  // Required (RFC 9110 15.5.2).
  if (info.status == 401) own.extra_fields = "WWW-Authenticate: Bearer\r\n";
  // Connections and streams can end at any time, so a short Retry-After is right (RFC 6585 4).
  if (info.status == 429) {
    own.extra_fields = is_of_a_second(error.cause) ? "Retry-After: 1\r\n" : kRetryAfter;
  }
  if (error.cause == Cause::all_streams) own.extra_fields = kRetryAfter;
  own.head_only = response.head_only;
  own.keep_alive = response.keep_alive;
  return write_own_response(own, cors);
}

std::string write_preflight_response(const RequestHead& client, bool keep_alive,
                                     const CorsConfig& cors) {
  HeadWriter head(kUsualHeadBytes);
  head.status_line(204);
  head.field("Allow", kMethods);
  head.field("Access-Control-Allow-Methods", kMethods);
  head.field("Access-Control-Allow-Headers", allowed_headers(client));
  head.raw_lines("Access-Control-Max-Age: 86400\r\n");
  const auto private_network = find_field(client.fields, "Access-Control-Request-Private-Network");
  if (cors.private_network && private_network && ascii::iequals(*private_network, "true")) {
    head.raw_lines("Access-Control-Allow-Private-Network: true\r\n");
  }
  head.field("Date", http_date());
  head.raw_lines("X-Content-Type-Options: nosniff\r\n");
  head.cors(cors_for(cors, client.fields));
  head.connection(keep_alive, client.minor_version);
  return std::move(head).finish();
}

}  // namespace streamgate
