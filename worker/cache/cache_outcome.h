// How the cache took part in an answer; for the head, the access log and the counters.
#pragma once

#include <string_view>

namespace streamgate {

// `X-Streamgate-Cache`. off: there is no cache. hit: the whole answer was there. shared: its fetch
// was under way. miss: the fetch is this client's, and others may share it. pass: it is this
// client's alone.
enum class CacheOutcome { off, hit, shared, miss, pass };
std::string_view name_of(CacheOutcome outcome);  // empty: off
bool is_shared(CacheOutcome outcome);            // the answer is in the cache's memory

}  // namespace streamgate
