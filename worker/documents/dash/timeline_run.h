// The segments of a SegmentTimeline: `<S t="1001" d="180180" r="3"/>`, thousands of them in a live
// manifest. They have no URL, and a plain one is well-formed wherever an element may stand, so the
// parser need not see it: without them a manifest is read several times as fast.
#pragma once

#include <cstddef>
#include <string_view>

namespace streamgate {

// The size of the blanks and whole plain `S` elements that `text` begins with. Plain: the
// attributes have names of one letter, each at most once, and values of digits.
size_t timeline_run(std::string_view text);

}  // namespace streamgate
