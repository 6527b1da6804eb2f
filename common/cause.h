// The causes of failures: finer than a Reason, and for people. The only table that says to whom the
// text of a failure may go, which configuration key decides, and what to do.
//
// `everyone`: about the client's own request or about what the upstream shows to every visitor.
// `insiders`: about this machine, its network or its configuration. errors.detail says who is one.
#pragma once

#include <string_view>

namespace streamgate {

enum class Reason;

enum class Cause : unsigned char {
  none,  // only the Reason is known
  certificate_expired,
  certificate_not_yet_valid,
  certificate_self_signed,
  certificate_unknown_issuer,
  certificate_no_authorities,
  certificate_wrong_name,
  certificate_invalid,
  tls_not_spoken,
  tls_version,
  tls_refused,
  tls_ended,
  connection_refused,
  no_route,
  no_such_name,
  name_without_address,
  name_server_failed,
  bad_name,
  not_public,
  not_unicast,
  local_name,
  denied,
  not_allowed,
  not_allowed_unresolved,
  own_place,
};

enum class Audience { insiders, everyone };

struct CauseInfo {
  std::string_view token;     // stable: the `cause` of `streamgate explain --json`
  Audience audience;          // of the sentence
  std::string_view sentence;  // for the `detail` of an error body
  std::string_view key;     // of the configuration: would allow it, or sets the limit; may be empty
  std::string_view advice;  // for `streamgate explain`
};

const CauseInfo& info_of(Cause cause);

// The key and the advice for failures whose Reason has only one cause. Both may be empty.
struct Guidance {
  std::string_view key;
  std::string_view advice;
};
Guidance guidance_for(Reason reason, Cause cause);

}  // namespace streamgate
