// The `detail` of an error's JSON body: which facts about a failure a client gets (errors.detail).
#pragma once

#include "common/cause.h"
#include "common/config.h"
#include "common/result.h"
#include "common/socket_address.h"
#include "worker/http/message.h"

namespace streamgate {

// Whether the sender of a request with these fields gets internal details. With `auto`, the sender
// is not an insider if a proxy has forwarded the request or a page of a public site has sent it,
// because the address of the peer is then not that of the reader. `fields` is null if the request
// head could not be read. Such a request is handled as a forwarded one.
Audience audience_of(const ErrorsConfig& config, const SocketAddress& peer,
                     const HeaderFields* fields);

// `error` with the text for that audience as its client_detail, at most 512 bytes. For insiders:
// the log's detail with secrets masked as in the log, and the key of the configuration that
// decides.
Error error_for(Audience audience, const Error& error);

}  // namespace streamgate
