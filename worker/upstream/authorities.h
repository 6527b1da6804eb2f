// The certificate authorities that upstreams are verified with: a configured file, or those of the
// system.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "worker/loop/openssl.h"

namespace streamgate {

// Loads the PEM file; tls_failed if it cannot be read or holds no certificate. `ca_file` empty:
// OpenSSL's own file and directory, which SSL_CERT_FILE and SSL_CERT_DIR replace. If both hold no
// certificate and the two variables are not set, the bundle of the distribution is searched. A
// system without certificates is no error: the service may not need them.
Result<void> load_authorities(SSL_CTX& context, const std::string& ca_file);

// Every file and directory that load_authorities() may read for the authorities of the system.
std::vector<std::string> authority_paths();

// False if load_authorities() has found no certificate, so that every verification fails.
bool has_authorities(const SSL_CTX& context);

}  // namespace streamgate
