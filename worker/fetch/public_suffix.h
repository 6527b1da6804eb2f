// The public suffixes under which anyone may register a name: `com`, `co.uk`, `github.io`. The list
// is the one that is compiled into libpsl.
#pragma once

#include <string>

namespace streamgate {

// `host` is lower case, without a trailing dot. A name without a dot is a public suffix too. The
// answer for an IP address has no meaning.
bool is_public_suffix(const std::string& host);

}  // namespace streamgate
