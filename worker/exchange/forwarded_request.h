// Makes the request for the upstream from a client's request.
#pragma once

#include <vector>

#include "common/config.h"
#include "worker/fetch/fetch_request.h"
#include "worker/http/message.h"
#include "worker/links/link_context.h"

namespace streamgate {

// `url` with the link's referer, headers and cookies. The client's fields Range, If-Range,
// If-None-Match, If-Modified-Since, Accept and Accept-Language are forwarded, and User-Agent,
// Referer and Origin where the configuration says `client`. So are X-Playback-Session-Id and CMCD
// fields, in which the next object has the upstream's own address. Fields that Connection names are
// not forwarded (RFC 9110 7.6.1), except CDN-Loop, which no hop may remove (RFC 8586 2). Nor are
// Range and If-Range for manifests and JSON documents, which are needed as a whole.
// `key_hosts`: those of the client's key (TokenKey::hosts); null: none.
FetchRequest make_fetch_request(HttpUrl url, const LinkContext& link, const RequestHead& client,
                                const UpstreamConfig& config,
                                const std::vector<UpstreamHost>* key_hosts = nullptr);

}  // namespace streamgate
