// What an upstream's answer says about its use for other clients (RFC 9111). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "worker/http/message.h"

namespace streamgate {

struct Freshness {
  // False: no-store, private, or a Vary that names more than Accept-Encoding and Origin.
  bool may_share = true;
  // For how long the answer may be used from its request on, in seconds; 0: only for requests that
  // came before its end. None: the answer does not say it.
  std::optional<int64_t> seconds = std::nullopt;
};

// honoured: as RFC 9111 says. ignored: if the answer has no-store or private, all of its directives
// are ignored.
enum class NoStore { honoured, ignored };

// `now`: seconds since 1970, when the head arrived.
Freshness freshness_of(const HeaderFields& fields, NoStore no_store, int64_t now);

// The seconds of the Age field; 0 without one, and if it is not valid.
int64_t age_of(const HeaderFields& fields);

}  // namespace streamgate
