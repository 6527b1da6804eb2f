// The reasons of failed exchanges and their steps. The only table that maps a reason to its token,
// HTTP status, sentence and counter (common/counters.h).
#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>

namespace streamgate {

// One row for each reason:
//   token    stable; the `reason` of the access log, the `X-Streamgate-Error` header and the JSON
//            body of our own error answers
//   status   of the answer, if no head has gone out yet; 499 is for the access log only
//   message  one sentence for a person; never an address or a timing
//
// A macro, because only the preprocessor makes an enumerator and its text from the same word.
// clang-format off
#define STREAMGATE_REASONS(ROW)                                                            \
  /* Caused by the client. */                                                              \
  ROW(bad_request, 400, "The request is malformed.")                                       \
  ROW(bad_url, 400, "The url parameter is missing or not a usable http(s) URL.")           \
  ROW(not_found, 404, "There is nothing at this path.")                                    \
  ROW(method_not_allowed, 405, "Only GET, HEAD and OPTIONS are served here.")              \
  ROW(request_timeout, 408, "The request head did not arrive in time.")                    \
  ROW(body_not_accepted, 413, "Requests with a body are not accepted.")                    \
  ROW(uri_too_long, 414, "The request line is too long.")                                  \
  ROW(expectation_failed, 417, "Only Expect: 100-continue is supported.")                  \
  ROW(header_too_large, 431, "The request head is too large.")                             \
  ROW(not_implemented, 501, "This method or transfer coding is not implemented.")          \
  ROW(version_not_supported, 505, "Only HTTP/1.0 and HTTP/1.1 are supported.")             \
  ROW(target_forbidden, 403, "This target is not allowed.")                                \
  ROW(port_forbidden, 403, "Targets on this port are not allowed.")                        \
  ROW(script_forbidden, 403, "Nothing from an upstream may run as a script here.")         \
  ROW(token_missing, 401, "A token is needed.")                                            \
  ROW(token_invalid, 403, "The token is not valid.")                                       \
  ROW(token_expired, 403, "The token has expired.")                                        \
  ROW(token_scope, 403, "The token does not allow this URL.")                              \
  ROW(token_client, 403, "The token belongs to another client.")                           \
  ROW(client_forbidden, 403, "Clients of this address are not served.")                    \
  ROW(parameter_forbidden, 403, "This link has a parameter that is not allowed.")          \
  ROW(loop, 508, "The request leads back to this proxy.")                                  \
  ROW(rate_limited, 429, "This client is at its limit.")                                   \
  ROW(client_gone, 499, "The client left.")                                                \
  ROW(client_stalled, 499, "The client stopped reading.")                                  \
  ROW(client_too_slow, 499, "The client read too slowly.")                                 \
  /* Caused by the upstream. */                                                            \
  ROW(dns_failed, 502, "The upstream's name could not be resolved.")                       \
  ROW(dns_timeout, 504, "Resolving the upstream's name took too long.")                    \
  ROW(connect_failed, 502, "The upstream refused the connection.")                         \
  ROW(connect_timeout, 504, "Connecting to the upstream took too long.")                   \
  ROW(tls_failed, 502, "The TLS handshake with the upstream failed.")                      \
  ROW(proxy_failed, 502, "The proxy on the way to the upstream failed.")                   \
  ROW(upstream_busy, 503, "The upstream allows no more connections now.")                  \
  ROW(first_byte_timeout, 504, "The upstream did not answer in time.")                     \
  ROW(bad_response, 502, "The upstream gave no valid HTTP answer.")                        \
  ROW(unsupported_coding, 502, "The playlist's content coding is not supported.")          \
  ROW(bad_document, 502, "The upstream's document is not well formed or too large.")      \
  ROW(too_many_redirects, 502, "The upstream redirected too often.")                       \
  ROW(truncated_body, 502, "The upstream's answer ended too early.")                       \
  ROW(idle_timeout, 504, "The upstream stopped sending.")                                  \
  ROW(upstream_too_slow, 504, "The upstream sent too slowly.")                             \
  /* Caused by the proxy. */                                                               \
  ROW(overloaded, 503, "The proxy is at its limit.")                                       \
  ROW(stopping, 503, "The proxy is stopping.")                                             \
  ROW(internal, 500, "The proxy failed.")
// clang-format on

enum class Reason {
#define STREAMGATE_ENUMERATOR(token, status, message) token,
  STREAMGATE_REASONS(STREAMGATE_ENUMERATOR)
#undef STREAMGATE_ENUMERATOR
};

struct ReasonInfo {
  std::string_view token;
  int status;
  std::string_view message;
};

// In the order of Reason.
inline constexpr ReasonInfo kReasons[] = {
#define STREAMGATE_INFO(token, status, message) {#token, status, message},
    STREAMGATE_REASONS(STREAMGATE_INFO)
#undef STREAMGATE_INFO
};

inline constexpr size_t kReasonCount = std::size(kReasons);

constexpr const ReasonInfo& info_of(Reason reason) { return kReasons[static_cast<size_t>(reason)]; }
constexpr int status_for(Reason reason) { return info_of(reason).status; }
constexpr std::string_view token_of(Reason reason) { return info_of(reason).token; }

}  // namespace streamgate
