// Which requests may share one upstream request, and the key by which they find each other.
#pragma once

#include <cstdint>
#include <optional>

#include "common/cache_layout.h"
#include "worker/fetch/fetch_request.h"

namespace streamgate {

// The digest of everything that can change the answer: the URL and its alternatives, all fields
// that go upstream, the cookies of the link, the hosts that the client's token allows, and
// `settings_mark`, which stands for our own fields and for the rules of the guard. Range and
// conditions are left out: they are answered from the whole answer.
//
// None: the request has a fetch of its own. It is no GET, has Authorization or Cookie of its own,
// asks for a live stream that is to be continued or for titles inside the audio, or its token has
// upstream settings of its own.
std::optional<CacheKey> cache_key(const FetchRequest& request, uint64_t settings_mark);

// Whether a field asks for a part of the answer, or for an answer under a condition.
bool is_range_or_condition(const ForwardedField& field);

}  // namespace streamgate
