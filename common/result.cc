#include "common/result.h"

#include "common/check.h"

namespace streamgate {
namespace {

constexpr std::pair<Reason, ReasonInfo> kReasons[] = {
    {Reason::bad_request, {"bad_request", 400, Fault::client, "The request is malformed."}},
    {Reason::bad_url,
     {"bad_url", 400, Fault::client, "The url parameter is missing or not a usable http(s) URL."}},
    {Reason::not_found, {"not_found", 404, Fault::client, "There is nothing at this path."}},
    {Reason::method_not_allowed,
     {"method_not_allowed", 405, Fault::client, "Only GET, HEAD and OPTIONS are served here."}},
    {Reason::request_timeout,
     {"request_timeout", 408, Fault::client, "The request head did not arrive in time."}},
    {Reason::body_not_accepted,
     {"body_not_accepted", 413, Fault::client, "Requests with a body are not accepted."}},
    {Reason::uri_too_long, {"uri_too_long", 414, Fault::client, "The request line is too long."}},
    {Reason::expectation_failed,
     {"expectation_failed", 417, Fault::client, "Only Expect: 100-continue is known."}},
    {Reason::header_too_large,
     {"header_too_large", 431, Fault::client, "The request head is too large."}},
    {Reason::not_implemented,
     {"not_implemented", 501, Fault::client, "This method or transfer coding is not implemented."}},
    {Reason::version_not_supported,
     {"version_not_supported", 505, Fault::client, "Only HTTP/1.0 and HTTP/1.1 are spoken here."}},
    {Reason::target_forbidden,
     {"target_forbidden", 403, Fault::client, "This target is not allowed."}},
    {Reason::loop, {"loop", 508, Fault::client, "The target is this proxy itself."}},
    {Reason::client_gone, {"client_gone", 499, Fault::client, "The client left."}},
    {Reason::client_stalled, {"client_stalled", 499, Fault::client, "The client stopped reading."}},
    {Reason::client_too_slow,
     {"client_too_slow", 499, Fault::client, "The client read too slowly."}},
    {Reason::dns_failed,
     {"dns_failed", 502, Fault::upstream, "The upstream's name could not be resolved."}},
    {Reason::dns_timeout,
     {"dns_timeout", 504, Fault::upstream, "Resolving the upstream's name took too long."}},
    {Reason::connect_failed,
     {"connect_failed", 502, Fault::upstream, "The upstream refused the connection."}},
    {Reason::connect_timeout,
     {"connect_timeout", 504, Fault::upstream, "Connecting to the upstream took too long."}},
    {Reason::tls_failed,
     {"tls_failed", 502, Fault::upstream, "The TLS handshake with the upstream failed."}},
    {Reason::first_byte_timeout,
     {"first_byte_timeout", 504, Fault::upstream, "The upstream did not answer in time."}},
    {Reason::bad_response,
     {"bad_response", 502, Fault::upstream, "The upstream gave no valid HTTP answer."}},
    {Reason::unsupported_coding,
     {"unsupported_coding", 502, Fault::upstream, "The playlist's content coding is not known."}},
    {Reason::too_many_redirects,
     {"too_many_redirects", 502, Fault::upstream, "The upstream redirected too often."}},
    {Reason::truncated_body,
     {"truncated_body", 502, Fault::upstream, "The upstream's answer ended too early."}},
    {Reason::idle_timeout, {"idle_timeout", 504, Fault::upstream, "The upstream stopped sending."}},
    {Reason::upstream_too_slow,
     {"upstream_too_slow", 504, Fault::upstream, "The upstream sent too slowly."}},
    {Reason::overloaded, {"overloaded", 503, Fault::proxy, "The proxy is at its limit."}},
    {Reason::stopping, {"stopping", 503, Fault::proxy, "The proxy is stopping."}},
    {Reason::internal, {"internal", 500, Fault::proxy, "The proxy failed."}},
};

}  // namespace

const ReasonInfo& info_of(Reason reason) {
  for (const auto& [key, info] : kReasons) {
    if (key == reason) return info;
  }
  CHECK(false);  // every Reason has a row
  return kReasons[0].second;
}

}  // namespace streamgate
