// Which codings a client accepts for an answer (RFC 9110 12.5.3).
#pragma once

#include "worker/http/message.h"

namespace streamgate {

// Whether the client prefers a gzip-coded answer, by name or by `*`. False without
// Accept-Encoding, and if `identity` has a greater weight. An element with an unusable weight is
// ignored.
bool prefers_gzip(const HeaderFields& client);

// Whether an answer to this request may be compressed. A page of another site that can make a
// browser send its credentials, and sees the size of the answer, could guess a secret in it
// (BREACH).
bool may_be_compressed(const HeaderFields& client);

}  // namespace streamgate
