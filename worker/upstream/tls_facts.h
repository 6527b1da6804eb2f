// The facts about a TLS connection to an upstream: its version and suite, the certificate that the
// upstream presents, and why a handshake failed. For error texts and `streamgate explain`.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <string>
#include <vector>

#include "common/result.h"

namespace streamgate {

// Texts from the certificate are bounded; control bytes are replaced by `?`.
struct CertificateFacts {
  std::vector<std::string> dns_names;  // at most 32; the common name if there is no other name
  std::vector<std::string> addresses;  // of iPAddress names, at most 32
  std::string subject;
  std::string issuer;
  std::string not_before;  // 2026-01-02T03:04:05Z
  std::string not_after;
  size_t chain_length = 0;  // certificates that the upstream sent, its own included

  bool operator==(const CertificateFacts&) const = default;
};

struct TlsFacts {
  std::string version;  // `TLSv1.3`; of a failed handshake the one that was reached
  std::string suite;    // empty if the handshake failed early
  bool has_certificate = false;
  CertificateFacts certificate = {};
  std::string verdict = {};  // of its verification: `ok`, or OpenSSL's text
  bool is_verified = false;  // the configuration demands a valid certificate
};

// Of a handshake that is done or has failed.
TlsFacts tls_facts(SSL& ssl);

// Why the handshake of `ssl` failed: tls_failed, with the fault of the certificate, else OpenSSL's
// errors. Empties OpenSSL's error queue, so call it at once.
Error handshake_error(SSL& ssl);

}  // namespace streamgate
