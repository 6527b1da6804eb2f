// Whether a request may see the admin pages. Three checks, in this order:
//
//   Host     an address, `localhost` or one of admin.hosts. A web page can make any other name
//            resolve to this machine (DNS rebinding)
//   origin   no request that a page of another origin has caused, except a link that is followed
//   token    `Authorization: Bearer` with admin.token, if there is one
//
// Pure.
#pragma once

#include <optional>
#include <string_view>

#include "common/config.h"
#include "worker/http/message.h"

namespace streamgate {

struct AdminRefusal {
  int status;
  std::string_view token;    // stable, for X-Streamgate-Error and the JSON body
  std::string_view message;  // one sentence
};

inline constexpr AdminRefusal kHostForbidden{
    403, "host_forbidden", "The Host is neither an address nor localhost nor in admin.hosts."};
inline constexpr AdminRefusal kOriginForbidden{403, "origin_forbidden",
                                               "A page of another origin made this request."};
inline constexpr AdminRefusal kTokenMissing{401, "token_missing",
                                            "The request has no Authorization: Bearer."};
inline constexpr AdminRefusal kTokenInvalid{403, "token_invalid",
                                            "The token is not that of admin.token."};
inline constexpr AdminRefusal kAdminNotFound{
    404, "not_found",
    "The admin listener has /, /metrics, /ready, /status, /streams, /explain and /purge."};
inline constexpr AdminRefusal kExplainMethod{405, "method_not_allowed", "/explain answers POST."};
inline constexpr AdminRefusal kExplainForm{
    400, "bad_request", "The body is neither a form nor a JSON object with a url."};
inline constexpr AdminRefusal kExplainBusy{429, "explain_busy", "Another URL is being explained."};
inline constexpr AdminRefusal kPurgeMethod{405, "method_not_allowed", "/purge answers POST."};
inline constexpr AdminRefusal kPurgeForm{400, "bad_request",
                                         "The query has no valid url and no valid prefix."};
inline constexpr AdminRefusal kPurgeOff{409, "cache_off", "This worker has no cache."};
inline constexpr AdminRefusal kAdminMethod{405, "method_not_allowed",
                                           "The admin listener answers GET and HEAD."};

// Pages of other origins may read no answer of the admin listener.
const CorsConfig& no_cors();

// The first two checks. nullopt if the request passes both.
std::optional<AdminRefusal> check_admin_origin(const RequestHead& request,
                                               const AdminConfig& config);
// The third check. nullopt if the request passes it.
std::optional<AdminRefusal> check_admin_token(const RequestHead& request,
                                              const AdminConfig& config);

}  // namespace streamgate
