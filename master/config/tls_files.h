// Reads the certificates and keys of TLS listeners while the master still may: a key is often
// readable for root only, and the workers are not root. What is in them only a worker judges.
#pragma once

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

// Fills the PEM texts of `config.listen` that are not filled yet. An error names the file.
Result<void> read_tls_files(Config& config);

}  // namespace streamgate
