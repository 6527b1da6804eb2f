// Digest authentication (RFC 7616) with the user and password of a URL or a link. Links carry them
// as Basic credentials. A server that accepts only Digest answers 401 with a challenge.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "worker/http/message.h"
#include "worker/loop/signature.h"

namespace streamgate {

struct Credentials {
  std::string user;
  std::string password;
};

// The credentials in `Basic <base64>` (RFC 7617), the value of an Authorization.
std::optional<Credentials> basic_credentials(std::string_view authorization);

// A challenge that can be answered: MD5 or SHA-256, with qop=auth or, as in RFC 2069, without qop.
struct DigestChallenge {
  std::string realm;
  std::string nonce;
  std::optional<std::string> opaque = std::nullopt;
  std::string algorithm = {};  // as the server wrote it; empty: not said, so MD5
  HashFunction hash = HashFunction::md5;
  bool is_session = false;  // `-sess`
  bool has_qop = false;
  bool is_stale = false;  // the credentials were right, the nonce is too old
};

// The first one in the WWW-Authenticate fields.
std::optional<DigestChallenge> find_digest_challenge(const HeaderFields& fields);

// The requests that answer one challenge.
class DigestSession {
 public:
  DigestSession(DigestChallenge challenge, Credentials credentials)
      : challenge_(std::move(challenge)), credentials_(std::move(credentials)) {}

  const std::string& nonce() const { return challenge_.nonce; }

  // The Authorization of the next request; `target` is its request-target. Empty if it cannot be
  // made: OpenSSL's configuration forbids MD5.
  std::string authorization(std::string_view method, std::string_view target);

 private:
  DigestChallenge challenge_;
  Credentials credentials_;
  unsigned requests_ = 0;
};

}  // namespace streamgate
