// How much a client is told about a failure: the `detail` of the JSON body (errors.detail).
#pragma once

#include "common/cause.h"
#include "common/config.h"
#include "common/result.h"
#include "common/socket_address.h"
#include "worker/http/message.h"

namespace streamgate {

// Whether the sender of a request with these fields is told internal details. With `auto`, a
// request that a proxy has forwarded, and one from a page of a public site, counts as a stranger's:
// its peer's address says nothing about who reads the answer. `fields` is null if the request head
// could not be read; it then counts as forwarded.
Audience audience_of(const ErrorsConfig& config, const SocketAddress& peer,
                     const HeaderFields* fields);

// `error` with the text for that audience as its client_detail, at most 512 bytes. For insiders:
// the log's detail with secrets masked as in the log, and the key of the configuration that
// decides.
Error told_to(Audience audience, const Error& error);

}  // namespace streamgate
