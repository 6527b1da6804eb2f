#include "worker/admin/admin_pages.h"

#include <sys/random.h>

#include <array>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/hex.h"
#include "common/json_string.h"
#include "common/service_survey.h"
#include "worker/pages/metrics.h"
#include "worker/pages/status_page.h"

namespace streamgate {
namespace {

// A browser gets the page at /status, every other client JSON.
constexpr std::string_view kVary = "Vary: Accept\r\n";
constexpr std::string_view kIsolation = "Cross-Origin-Resource-Policy: same-origin\r\n";

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool wants_page(const RequestHead& request) {
  return field_or_empty(request.fields, "Accept").find("text/html") != std::string_view::npos;
}

std::string make_nonce() {
  std::array<unsigned char, 16> bytes{};
  CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return in_hex(bytes);
}

std::string body_of(const AdminRefusal& refusal) {
  std::string body = R"({"error":)";
  append_json_string(refusal.token, body);
  body += R"(,"message":)";
  append_json_string(refusal.message, body);
  return body + R"(,"status":)" + std::to_string(refusal.status) + "}\n";
}

}  // namespace

AdminPages::AdminPages(const Environment& environment)
    : environment_(environment), explain_(environment.explain, &AdminPages::send) {
  if (environment.cache == nullptr) return;
  purge_.emplace(*environment.cache, environment.explain.reaper, &AdminPages::send);
}

void AdminPages::answer(ClientGate& gate) {
  const RequestHead& request = gate.stream().head();
  const AdminConfig& config = environment_.config.admin;
  if (const auto refusal = check_admin_origin(request, config)) return refuse(gate, *refusal);
  const std::string_view path = path_of(request.target);
  const bool is_explain = path == "/explain";
  const bool is_purge = path == "/purge";
  const bool is_post = request.method == Method::post;
  if (is_explain && !is_post) return refuse(gate, kExplainMethod);
  if (is_purge && !is_post) return refuse(gate, kPurgeMethod);
  const bool is_read = request.method == Method::get || request.method == Method::head;
  if (!is_explain && !is_purge && !is_read) return refuse(gate, kAdminMethod);
  // Needs no token: the listeners of the proxy answer it to every client too.
  if (path == "/ready") return answer_ready(gate);
  if (const auto refusal = check_admin_token(request, config)) return refuse(gate, *refusal);
  if (is_explain) return explain(gate);
  if (is_purge) return purge(gate);
  answer_allowed(gate, path);
}

void AdminPages::explain(ClientGate& gate) {
  const RequestHead& request = gate.stream().head();
  const auto form =
      parse_explain_form(field_or_empty(request.fields, "Content-Type"), request.body);
  if (!form) return refuse(gate, kExplainForm);
  if (!explain_.start(gate, *form)) return refuse(gate, kExplainBusy);
  count(environment_.slot.counters, Counter::admin_requests);
}

void AdminPages::purge(ClientGate& gate) {
  auto order = parse_purge(gate.stream().head().target, environment_.config.public_url);
  if (!order) return refuse(gate, kPurgeForm);
  if (!purge_) return refuse(gate, kPurgeOff);
  count(environment_.slot.counters, Counter::admin_requests);
  purge_->start(gate, *std::move(order));
}

void AdminPages::answer_allowed(ClientGate& gate, std::string_view path) {
  const bool is_known =
      path == "/" || path == "/metrics" || path == "/status" || path == "/streams";
  if (!is_known) return refuse(gate, kAdminNotFound);
  count(environment_.slot.counters, Counter::admin_requests);
  const ServiceSurvey state = survey(environment_.scoreboard, environment_.wheel.now_ms(),
                                     environment_.config.watchdog_timeout);
  const RequestHead& request = gate.stream().head();
  if (path == "/" || (path == "/status" && wants_page(request))) return send_page(gate, state);
  OwnResponse response;
  std::string body;
  if (path == "/metrics") {
    response.content_type = kMetricsType;
    body = write_metrics(state, environment_.config);
  } else {
    response.content_type = "application/json";
    body = path == "/status" ? print_status_json(state) : print_streams_json(state);
    if (path == "/status") response.extra_fields = kVary;
  }
  response.body = body;
  send(gate, response);
}

void AdminPages::send_page(ClientGate& gate, const ServiceSurvey& state) {
  const std::string nonce = make_nonce();
  const std::string page = write_status_page(state, nonce);
  const std::string fields = std::string(kVary) +
                             "Content-Security-Policy: " + status_page_policy(nonce) +
                             "\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n";
  OwnResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.body = page;
  response.extra_fields = fields;
  send(gate, response);
}

void AdminPages::answer_ready(ClientGate& gate) {
  count(environment_.slot.counters, Counter::admin_requests);
  const bool ready = is_ready(environment_.scoreboard, environment_.wheel.now_ms(),
                              environment_.config.watchdog_timeout);
  OwnResponse response;
  response.status = ready ? 200 : 503;
  response.content_type = "application/json";
  response.body = ready ? "{\"status\":\"ready\"}\n" : "{\"status\":\"not_ready\"}\n";
  send(gate, response);
}

void AdminPages::refuse(ClientGate& gate, const AdminRefusal& refusal) {
  count(environment_.slot.counters, Counter::admin_requests_refused);
  const std::string body = body_of(refusal);
  OwnResponse response;
  response.status = refusal.status;
  response.content_type = "application/json";
  response.body = body;
  response.error_token = refusal.token;
  if (refusal.status == 401) response.extra_fields = "WWW-Authenticate: Bearer\r\n";
  if (refusal.status == 405) response.extra_fields = "Allow: GET, HEAD\r\n";
  const bool wants_post =
      refusal.message == kExplainMethod.message || refusal.message == kPurgeMethod.message;
  if (wants_post) response.extra_fields = "Allow: POST\r\n";
  if (refusal.status == 429) response.extra_fields = "Retry-After: 10\r\n";
  send(gate, response);
}

void AdminPages::send(ClientGate& gate, OwnResponse response) {
  const RequestHead& request = gate.stream().head();
  const std::string fields = std::string(kIsolation) + std::string(response.extra_fields);
  response.extra_fields = fields;
  response.head_only = request.method == Method::head;
  response.keep_alive = gate.may_keep_alive();
  response.client_minor_version = request.minor_version;
  ClientStream& stream = gate.stream();
  stream.send_head(write_own_response(response, no_cors()), {ClientFraming::Kind::none, 0},
                   response.keep_alive);
  stream.finish();
}

}  // namespace streamgate
