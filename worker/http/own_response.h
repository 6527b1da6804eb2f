// The answers that come from Streamgate itself and from no upstream: errors, health, preflight.
//
// Each function returns a complete response, ready to send.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "worker/http/head_writer.h"
#include "worker/http/message.h"

namespace streamgate {

// Sent with no-store, nosniff and CORS fields. The views are read before the call returns.
struct OwnResponse {
  int status = 200;
  std::string_view content_type;
  std::string_view body;
  std::string_view error_token;   // for X-Streamgate-Error; empty: not an error
  std::string_view extra_fields;  // whole lines with CRLF
  bool head_only = false;
  bool keep_alive = true;
  int client_minor_version = 1;
};
std::string write_own_response(const OwnResponse& response, const Cors& cors);

// Used only during the call that it is given to.
struct ErrorResponse {
  const Error& error;
  std::string_view id;      // of the exchange
  bool head_only = false;   // the request is a HEAD
  bool keep_alive = false;  // false: `Connection: close`
};

// The answer to a failure, with the reason in X-Streamgate-Error and in a JSON body. The body
// contains the id of the exchange and `client_detail` of the error, but no other text of it.
std::string write_error_response(const ErrorResponse& response, const Cors& cors);

// The preflight and plain OPTIONS answer (204, Fetch standard 3.2): methods, the requested
// headers that are tokens, exposed headers, max age; a private network if it is asked for and
// `cors` allows it.
std::string write_preflight_response(const RequestHead& client, bool keep_alive,
                                     const CorsConfig& cors);

}  // namespace streamgate
