// The causes of failures: more specific than a Reason, with texts for people. The only table that
// has the audience of each text, the configuration key that decides, and the advice.
//
// `everyone`: about the client's own request, or about facts that the upstream shows to everyone.
// `insiders`: about this machine, its network or its configuration. errors.detail selects the
// clients that are insiders.
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
  all_streams,
  client_streams,
  client_requests,
  token_streams,
  key_streams,
  key_requests,
};

enum class Audience { insiders, everyone };

struct CauseInfo {
  std::string_view token;     // stable: the `cause` of `streamgate explain --json`
  Audience audience;          // of the sentence
  std::string_view sentence;  // for the `detail` of an error body
  std::string_view key;       // of the configuration: allows it or sets the limit; may be empty
  std::string_view advice;    // for `streamgate explain`
};

const CauseInfo& info_of(Cause cause);

// The key and the advice for a failure: those of its cause, or if the cause is `none`, those of its
// reason. Both may be empty.
struct Guidance {
  std::string_view key;
  std::string_view advice;
};
Guidance guidance_for(Reason reason, Cause cause);

}  // namespace streamgate
