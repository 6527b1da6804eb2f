// The segments of a SegmentTimeline (`<S t="1001" d="180180" r="3"/>`) and of a SegmentList
// (`<SegmentURL media="video/1.m4s"/>`), thousands of them in one manifest. A plain one has no URL
// that is rewritten, and is well-formed wherever an element may stand, so the parser need not see
// it: without them a manifest is read several times as fast.
#pragma once

#include <cstddef>
#include <string_view>

namespace streamgate {

// The size of the blanks and whole plain elements that `text` begins with. Plain: an `S` whose
// attributes have names of one letter and values that are numbers or ranges, or a `SegmentURL` with
// relative references that stay (MpdLinks) and ranges; each attribute at most once.
size_t segment_run(std::string_view text);

}  // namespace streamgate
