// The segments of a SegmentTimeline (`<S t="1001" d="180180" r="3"/>`) and of a SegmentList
// (`<SegmentURL media="video/1.m4s"/>`), thousands of them in one manifest, and other frequent
// elements without content. A plain one has no URL that is rewritten, and is well-formed wherever
// an element is allowed, so the parser need not see it. A manifest is read several times as fast
// without them.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace streamgate {

// The size of the blanks and whole plain elements that `text` begins with. Plain: an `S` whose
// attributes have names of one letter and values that are numbers or ranges, a `SegmentURL` with
// relative references that stay (MpdLinks) and ranges, or one of plain_element.h; each attribute at
// most once.
size_t segment_run(std::string_view text);

// A plain `SegmentURL`, but its `media` is rooted (`/video/1.m4s`) or absolute
// (`https://cdn.example/video/1.m4s`): it becomes a link by other text in place of its origin.
struct OutsideSegment {
  size_t size;         // of the element
  size_t origin_at;    // in the element
  size_t origin_size;  // of `https://cdn.example`; 0: rooted
};

// The element that `text` begins with; nullopt for any other.
std::optional<OutsideSegment> outside_segment(std::string_view text);

}  // namespace streamgate
