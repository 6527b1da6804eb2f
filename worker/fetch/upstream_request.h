// Writes the head of a request to an upstream. It is built anew from an allow-list of header
// fields, so that nothing can be smuggled through.
#pragma once

#include <string>
#include <string_view>

#include "common/config.h"
#include "common/url.h"
#include "worker/http/message.h"
#include "worker/links/stream_request.h"

namespace streamgate {

// What one attempt at an upstream needs to know beside the stream request itself.
struct UpstreamAttempt {
  const HttpUrl& url;  // of this hop
  Method method = Method::get;
  bool send_referer_and_origin = true;  // false: the retry after a 403
  bool send_range = true;     // false: the retry of a playlist that was asked with a Range
  bool cross_origin = false;  // after a redirect elsewhere: no h_Authorization, no h_Cookie
  // Not empty: only the rest of a body, in place of the client's Range and conditions.
  std::string_view rest_range = {};
  std::string_view rest_validator = {};  // its If-Range
};

// The request head for the upstream: request line, Host, the client's Range, If-Range,
// If-None-Match, If-Modified-Since, Accept and Accept-Language, the configured User-Agent, Referer
// and Origin, Accept-Encoding: identity, and the h_ headers, which win over all of these.
std::string write_upstream_request(const UpstreamAttempt& attempt, const StreamRequest& request,
                                   const RequestHead& client, const UpstreamConfig& config);

}  // namespace streamgate
