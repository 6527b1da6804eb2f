// Reads the certificates and keys of TLS listeners, and the keys of tokens, in the master, because
// often only root may read a key. The content is checked in a worker.
#pragma once

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

// Sets those texts of `config.listen` and `config.security.keys` that are empty. An error names the
// file. The line end after a secret does not belong to it.
Result<void> read_tls_files(Config& config);

}  // namespace streamgate
