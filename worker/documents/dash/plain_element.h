// Frequent elements without content: `<Representation id="1" bandwidth="800000" .../>`.
#pragma once

namespace streamgate {

// Returns the position after the element at `at`, or null if the element needs the parser. An
// element is skipped if it is of a fixed list, all its attributes are of a fixed list and occur
// once, and no URL in it is rewritten.
const char* skip_plain_element(const char* at, const char* end);

}  // namespace streamgate
