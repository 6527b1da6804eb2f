// Validation of a stored answer that is stale (RFC 9111 4.3): the conditions of the request, and
// the head that follows from an answer 304. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/cache/stored_head.h"
#include "worker/fetch/fetch_request.h"
#include "worker/http/message.h"

namespace streamgate {

// If-None-Match and If-Modified-Since for an answer with that head. Empty: it has no validator, or
// is not a 200 of known length.
std::vector<ForwardedField> conditions_for(const StoredHead& stored);

// Whether the 304 confirms the answer with that head. `facts` are those of the fetch that got the
// 304.
bool is_about(const ResponseHead& not_modified, const FetchFacts& facts, const StoredHead& stored);

// The fields of the stored head, with those of the 304 in place of theirs (4.3.4), except fields
// that describe the body. The views point into the two heads.
ResponseHead refreshed_head(const StoredHead& stored, const ResponseHead& not_modified);

}  // namespace streamgate
