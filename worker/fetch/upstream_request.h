// Writes the head of a request to an upstream. The head is built from an allow-list of header
// fields, so that nothing can be smuggled through.
#pragma once

#include <string>
#include <string_view>

#include "common/config.h"
#include "common/url.h"
#include "worker/fetch/fetch_request.h"
#include "worker/upstream/host_settings.h"

namespace streamgate {

// The differences between the attempts of one fetch.
struct UpstreamAttempt {
  const HttpUrl& url;                   // of this hop
  bool send_referer_and_origin = true;  // false: the second try after a 403
  bool send_range = true;     // false: the whole of a playlist that was asked for by Range
  bool cross_origin = false;  // a redirect left the origin: no Authorization, no Cookie
  // Not empty: the Range of the missing bytes, or of the byte that is asked for instead of a HEAD.
  // Replaces the client's Range and conditions.
  std::string_view our_range = {};
  std::string_view our_if_range = {};
  bool get_instead_of_head = false;
  bool send_conditions = true;          // false: the next body of a live stream
  std::string_view authorization = {};  // of a redirect with userinfo; replaces the request's own
  std::string_view cookies = {};        // Cookies::for_request() of `url`
  std::string_view player_agent = {};   // not empty: in place of a browser's User-Agent
  std::string_view cdn_loop = {};       // CDN-Loop with our mark (worker/fetch/loop_mark.h)
};

// Request line, Host, the forwarded fields of the client, the configured User-Agent, Referer and
// Origin, Accept-Encoding: identity, the configured headers of the host, and `request.headers`,
// which win over all of these; one with an empty value is not sent. The attempt's cookies join a
// Cookie of those, and win over its pairs. Then CDN-Loop, and Via if the configuration says so. A
// proxy that takes the request in absolute form gets its Proxy-Authorization.
std::string write_upstream_request(const UpstreamAttempt& attempt, const FetchRequest& request,
                                   const HostSettings& settings);

}  // namespace streamgate
