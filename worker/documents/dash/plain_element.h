// Frequent elements without content: `<Representation id="1" bandwidth="800000" .../>`.
#pragma once

namespace streamgate {

// Behind the element at `at` if it is one of some kinds, all its attributes are of a fixed list,
// each at most once, and no URL in it is rewritten; null for anything else.
const char* skip_plain_element(const char* at, const char* end);

}  // namespace streamgate
