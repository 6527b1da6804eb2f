// Makes links with tokens, for `streamgate sign`. Runs in the process of that command only.
#pragma once

#include <cstdint>
#include <string>

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

struct NewToken {
  std::string url;      // of the upstream
  int64_t expires = 0;  // seconds since 1970
  // exact: the token is for `url` only. directory: for all URLs below the directory of `url`.
  enum class Reach { exact, directory };
  Reach reach = Reach::exact;
  std::string client;  // an address or a block; empty: any client
  std::string key_id;  // empty: the first key that has a secret
};

// The link for a player, with the token in `sg_token`. Requires that the key files have been read.
// An error has a sentence for the user.
Result<std::string> sign_link(const Config& config, const NewToken& token);

}  // namespace streamgate
