#include "worker/fetch/public_suffix.h"

#include <libpsl.h>

namespace streamgate {

bool is_public_suffix(const std::string& host) {
  const psl_ctx_t* const list = psl_builtin();
  // Without a list every name counts as a public suffix.
  return list == nullptr || psl_is_public_suffix(list, host.c_str()) != 0;
}

}  // namespace streamgate
