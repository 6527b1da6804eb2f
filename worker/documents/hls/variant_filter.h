// Leaves out variants of a multivariant playlist (RFC 8216bis 4.4.6.2) that exceed a limit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace streamgate {

struct VariantLimits {
  unsigned max_height = 0;     // 0: no limit
  unsigned max_bandwidth = 0;  // bits per second; 0: no limit
};

// The text of `playlist` without the variants and I-frame playlists that exceed a limit. A variant
// without RESOLUTION has no height, one without BANDWIDTH no bandwidth. If no variant with a
// RESOLUTION is within the limits, those of the smallest height stay, and of them those of the
// smallest bandwidth; if no variant has a RESOLUTION, those of the smallest bandwidth.
std::string filter_variants(std::string_view playlist, const VariantLimits& limits);

// Holds a playlist back until it is known whether it is a multivariant playlist, and such a
// playlist until its end.
class VariantFilter {
 public:
  void begin(const VariantLimits& limits);
  // Whether the text must go through the filter. False without limits, after end(), and as soon as
  // the playlist is longer than 256 KiB or known not to be a multivariant playlist.
  bool is_on() const { return is_on_; }
  // Both require is_on(), and return the text that leaves the filter. It is valid until the next
  // call.
  std::string_view add(std::string_view bytes);
  std::string_view end();

  size_t memory_bytes() const { return held_.capacity(); }

 private:
  VariantLimits limits_;
  bool is_on_ = false;
  bool is_multivariant_ = false;
  size_t line_at_ = 0;  // of the first line of held_ that has not been examined
  std::string held_;
};

}  // namespace streamgate
