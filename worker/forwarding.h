// Which header fields cross, in both directions. Our own answers are in own_response.h, which comes
// with this header; the writing of any head is in head_writer.h.
//
// Level 1: no socket, no event loop. Heads are built anew from allow-lists: nothing to smuggle.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/result.h"
#include "worker/head_writer.h"
#include "worker/http_message.h"
#include "worker/own_response.h"
#include "worker/stream_request.h"

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

// How the body goes to the client.
struct ClientFraming {
  enum class Kind { length, chunked, until_close, none } kind = Kind::none;
  uint64_t length = 0;
};

// One head to a client.
struct RelayedResponse {
  const ResponseHead& upstream;
  std::string_view upstream_path;  // decides the default Cache-Control of segments
  bool is_playlist = false;        // rewritten: type and cache fields are ours, validators dropped
  ClientFraming framing = {};
  bool keep_alive = true;  // of the client's connection
  int client_minor_version = 1;
};

// The response head for the client, with CORS, cache fields and framing.
std::string write_relayed_head(const RelayedResponse& response, const CorsConfig& cors);

// The URL prefix of children: `<origin><prefix>` without a path, from public_url, else from
// X-Forwarded-Proto, -Host and -Prefix if the peer is trusted (a list's first element), else from
// Host and `scheme`, by which the request came. Forwarded values that are not a plain host[:port]
// or path are ignored. Empty for an HTTP/1.0 client without Host: then children are path-only.
std::string public_origin(const RequestHead& client, std::string_view scheme, bool peer_is_trusted,
                          std::string_view public_url);

}  // namespace streamgate
