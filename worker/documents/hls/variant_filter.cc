#include "worker/documents/hls/variant_filter.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "common/ascii.h"
#include "worker/documents/hls/attribute_list.h"
#include "worker/documents/hls/line_scan.h"

namespace streamgate {
namespace {

constexpr size_t kMaxHeldBytes = size_t{256} * 1024;
constexpr std::string_view kVariantTag = "#EXT-X-STREAM-INF:";
constexpr std::string_view kIFrameTag = "#EXT-X-I-FRAME-STREAM-INF:";

// A line with its terminator, in the playlist.
struct Line {
  size_t begin;
  size_t end;
  std::string_view text;  // trimmed
};

// nullopt at the end of the playlist.
std::optional<Line> line_at(std::string_view playlist, size_t begin) {
  if (begin == playlist.size()) return std::nullopt;
  const char* const first = playlist.data() + begin;
  const char* const last = find_line_end(first, playlist.data() + playlist.size());
  const auto size = static_cast<size_t>(last - first);
  size_t end = begin + size;
  if (playlist.substr(end).starts_with("\r\n")) ++end;
  end = std::min(end + 1, playlist.size());
  return Line{begin, end, ascii::trim(playlist.substr(begin, size))};
}

struct Variant {
  Line tag;
  std::optional<Line> uri;  // none: an I-frame playlist, or the playlist ends before it
  bool is_i_frame = false;
  std::optional<uint64_t> height;
  std::optional<uint64_t> bandwidth;
};

std::optional<uint64_t> height_of(std::string_view resolution) {
  const size_t x = resolution.find('x');
  return x == resolution.npos ? std::nullopt : ascii::parse_uint(resolution.substr(x + 1));
}

void read_attributes(std::string_view list, Variant& variant) {
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name == "RESOLUTION") variant.height = height_of(attribute.value);
    if (attribute.name == "BANDWIDTH") variant.bandwidth = ascii::parse_uint(attribute.value);
  }
}

std::vector<Variant> variants_of(std::string_view playlist) {
  std::vector<Variant> variants;
  std::optional<size_t> open;  // the variant whose URI follows
  for (auto line = line_at(playlist, 0); line; line = line_at(playlist, line->end)) {
    const bool is_i_frame = line->text.starts_with(kIFrameTag);
    if (is_i_frame || line->text.starts_with(kVariantTag)) {
      Variant variant{*line, std::nullopt, is_i_frame, std::nullopt, std::nullopt};
      read_attributes(line->text.substr(line->text.find(':') + 1), variant);
      if (!is_i_frame) open = variants.size();
      variants.push_back(variant);
    } else if (open && !line->text.empty() && line->text.front() != '#') {
      variants[*open].uri = line;
      open.reset();
    }
  }
  return variants;
}

bool is_within(const Variant& variant, const VariantLimits& limits) {
  const bool is_low = limits.max_height == 0 || variant.height.value_or(0) <= limits.max_height;
  return is_low &&
         (limits.max_bandwidth == 0 || variant.bandwidth.value_or(0) <= limits.max_bandwidth);
}

// Chooses what stays.
class Choice {
 public:
  Choice(const std::vector<Variant>& variants, const VariantLimits& limits) : limits_(limits) {
    has_height_ = std::any_of(variants.begin(), variants.end(), [](const Variant& variant) {
      return counts(variant) && variant.height;
    });
    for (const Variant& variant : variants) {
      if (!is_candidate(variant)) continue;
      if (is_within(variant, limits)) needs_smallest_ = false;
      smallest_ = std::min(smallest_, size_of(variant));
    }
  }

  bool stays(const Variant& variant) const {
    if (is_within(variant, limits_)) return true;
    return needs_smallest_ && is_candidate(variant) && size_of(variant) == smallest_;
  }

 private:
  using Size = std::pair<uint64_t, uint64_t>;

  static bool counts(const Variant& variant) { return !variant.is_i_frame; }
  // Audio alone does not count while there is video.
  bool is_candidate(const Variant& variant) const {
    return counts(variant) && (!has_height_ || variant.height);
  }
  static Size size_of(const Variant& variant) {
    return {variant.height.value_or(0), variant.bandwidth.value_or(0)};
  }

  VariantLimits limits_;
  bool has_height_ = false;     // of any variant
  bool needs_smallest_ = true;  // no candidate is within the limits
  Size smallest_{std::numeric_limits<uint64_t>::max(), std::numeric_limits<uint64_t>::max()};
};

// Whether the line is one of a media playlist.
bool is_media_line(std::string_view line) {
  return line.starts_with("#EXTINF") || line.starts_with("#EXT-X-TARGETDURATION") ||
         line.starts_with("#EXT-X-MEDIA-SEQUENCE");
}

}  // namespace

std::string filter_variants(std::string_view playlist, const VariantLimits& limits) {
  const std::vector<Variant> variants = variants_of(playlist);
  const Choice choice(variants, limits);
  std::vector<Line> left_out;
  for (const Variant& variant : variants) {
    if (choice.stays(variant)) continue;
    left_out.push_back(variant.tag);
    if (variant.uri) left_out.push_back(*variant.uri);
  }
  // The tag of an I-frame playlist may come between another tag and its URI.
  std::sort(left_out.begin(), left_out.end(),
            [](const Line& a, const Line& b) { return a.begin < b.begin; });
  std::string out;
  size_t copied_to = 0;
  for (const Line& line : left_out) {
    out += playlist.substr(copied_to, line.begin - copied_to);
    copied_to = line.end;
  }
  return out.append(playlist.substr(copied_to));
}

void VariantFilter::begin(const VariantLimits& limits) {
  limits_ = limits;
  is_on_ = limits.max_height > 0 || limits.max_bandwidth > 0;
  is_multivariant_ = false;
  line_at_ = 0;
  held_.clear();
}

std::string_view VariantFilter::add(std::string_view bytes) {
  const size_t searched = held_.size();  // a long line may come in many small pieces
  held_ += bytes;
  if (held_.size() > kMaxHeldBytes) is_on_ = false;
  while (is_on_ && !is_multivariant_) {
    const size_t end = held_.find_first_of("\r\n", std::max(line_at_, searched));
    if (end == held_.npos) break;
    const std::string_view line =
        ascii::trim(std::string_view(held_).substr(line_at_, end - line_at_));
    is_multivariant_ = line.starts_with(kVariantTag);
    if (is_media_line(line)) is_on_ = false;
    line_at_ = end + 1;
  }
  return is_on_ ? std::string_view() : held_;
}

std::string_view VariantFilter::end() {
  is_on_ = false;
  if (is_multivariant_) held_ = filter_variants(held_, limits_);
  return held_;
}

}  // namespace streamgate
