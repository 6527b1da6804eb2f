// Reads the certificates and keys of TLS listeners in the master, because often only root may read
// a key. The content is checked in a worker.
#pragma once

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

// Sets those PEM texts of `config.listen` that are empty. An error names the file.
Result<void> read_tls_files(Config& config);

}  // namespace streamgate
