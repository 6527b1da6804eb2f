// Which requests may share one upstream request, that request, and the key by which they find each
// other.
#pragma once

#include <cstdint>
#include <optional>

#include "common/cache_layout.h"
#include "worker/fetch/fetch_request.h"

namespace streamgate {

// The digest of everything that can change the answer: the URL and its alternatives, all fields
// that go upstream, the cookies of the link, the hosts that the client's token allows, and
// `settings_mark`, which stands for our own fields and for the rules of the guard. Left out is what
// shared_request() leaves out.
//
// None: the request has a fetch of its own. It is no GET, has Authorization or Cookie of its own,
// asks for titles inside the audio, or its token has upstream settings of its own.
std::optional<CacheKey> cache_key(const FetchRequest& request, uint64_t settings_mark);

// The request that is sent for all clients with this key. Range and conditions are left out,
// because they are answered from the whole answer. So is what a player reports about itself (CMCD,
// also as a parameter, and X-Playback-Session-Id): it differs for each player, and an upstream that
// wrote it into its answer would show it to others.
FetchRequest shared_request(const FetchRequest& request);

}  // namespace streamgate
