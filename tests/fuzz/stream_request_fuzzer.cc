// Any request target is refused or becomes a stream request that is safe to send upstream. The
// query form of its link context reads back as the same context. No target proves that the client
// may send it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/check.h"
#include "worker/exchange/forwarded_request.h"
#include "worker/fetch/upstream_request.h"
#include "worker/http/field_rules.h"
#include "worker/http/grammar.h"
#include "worker/links/access_control.h"
#include "worker/links/stream_request.h"

namespace {

using namespace streamgate;

std::string query_form(const LinkContext& link, ChildOrigin origin) {
  std::string text;
  append_query_form(link, origin, text);
  return text;
}

void check_children(const StreamRequest& request) {
  const std::string target = std::string(request.route_path) + "?url=http%3A%2F%2Fh%2F";
  const std::string parameters = query_form(request.link, ChildOrigin::same);
  const auto child = parse_stream_request(target + parameters);
  CHECK(child.has_value());
  CHECK(query_form(child->link, ChildOrigin::same) == parameters);
  CHECK(child->link.headers == request.link.headers && child->link.referer == request.link.referer);
  CHECK(child->upstream.path_and_query == "/");
  const auto elsewhere =
      parse_stream_request(target + query_form(request.link, ChildOrigin::other));
  CHECK(elsewhere.has_value());
  for (const auto& [name, value] : elsewhere->link.headers) CHECK(!is_secret_header(name));
}

// The head is one request line, one Host and fields only: nothing was smuggled.
void check_request_head(const StreamRequest& request) {
  const FetchRequest fetched =
      make_fetch_request(request.upstream, request.link, RequestHead(), UpstreamConfig());
  const UpstreamAttempt attempt{fetched.url};
  const std::string text = write_upstream_request(attempt, fetched, HostSettings());
  std::string_view left = text;
  unsigned hosts = 0;
  bool first = true;
  while (true) {
    const size_t end = left.find("\r\n");
    CHECK(end != std::string_view::npos);
    const std::string_view line = left.substr(0, end);
    left.remove_prefix(end + 2);
    CHECK(http::all_are(http::kFieldByte, line));
    if (line.empty()) break;
    if (!std::exchange(first, false)) {
      CHECK(http::is_token(line.substr(0, line.find(':'))));
      hosts += ascii::istarts_with(line, "host:") ? 1 : 0;
    }
  }
  CHECK(left.empty() && hosts == 1);
}

SecurityConfig make_security() {
  SecurityConfig config;
  config.auth = SecurityConfig::Auth::token;
  config.parameters.headers = false;
  config.keys.emplace_back();
  config.keys[0].id = "k";
  config.keys[0].secret = "0123456789abcdef0123456789abcdef";
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  // The request-head parser accepts only such targets.
  if (!http::all_are(http::kTargetByte, target)) return 0;
  if (route_of(target) != Route::stream) return 0;
  const auto request = parse_stream_request(target);
  if (!request) {
    CHECK(request.error().reason == Reason::bad_url ||
          request.error().reason == Reason::bad_request);
    return 0;
  }
  static const SecurityConfig kSecurity = make_security();
  static AccessControl access = *AccessControl::make(kSecurity);
  StreamRequest asked = *request;
  CHECK(!access.check(asked, {"", std::nullopt}, 0));
  check_children(*request);
  check_request_head(*request);
  return 0;
}
