#include "worker/documents/dash/plain_element.h"

#include "worker/documents/dash/element_scan.h"

namespace streamgate {
namespace {

using element_scan::Found;

// None of them is in mpd_elements.cc, except SegmentTemplate.
constexpr std::array<std::string_view, 8> kElements = {
    "Representation",    "SegmentTemplate", "Role",   "Accessibility", "AudioChannelConfiguration",
    "InbandEventStream", "FramePacking",    "Rating",
};

// The bytes of a value that need not be looked at.
constexpr std::array<bool, 256> kText = [] {
  std::array<bool, 256> out{};
  for (unsigned char c = ' '; c < 0x7f; ++c) out[c] = true;
  for (const unsigned char c : {'<', '>', '&', '"', '\''}) out[c] = false;
  return out;
}();

const char* skip_text(const char* at, const char* end) {
  while (at != end && kText[static_cast<unsigned char>(*at)]) ++at;
  return at;
}

// Returns the position after the format `%05d` of an identifier, or null for anything else.
const char* skip_format(const char* at, const char* end) {
  if (end - at < 4 || at[1] != '0') return nullptr;
  at = element_scan::skip_digits(at + 1, end);
  return end - at >= 2 && at[0] == 'd' && at[1] == '$' ? at + 1 : nullptr;
}

// Returns the position after a relative reference with identifiers (`$Number%05d$`) and without dot
// segments, or null for anything else.
const char* skip_template(const char* at, const char* end) {
  if (at == end || *at == '/' || *at == '.') return nullptr;
  for (char before = 0; at != end;) {
    const char c = *at;
    if (c == '%') {
      at = skip_format(at, end);
      if (at == nullptr) return nullptr;
    } else if (c == '$' || element_scan::kPlain[static_cast<unsigned char>(c)]) {
      if (c == '.' && before == '/') return nullptr;
      ++at;
    } else {
      return at;
    }
    before = c;
  }
  return at;
}

// Its place in the list is its bit.
struct Attribute {
  std::string_view name;
  const char* (*skip_value)(const char* at, const char* end);
};

constexpr std::array<Attribute, 36> kAttributes = {{
    {"id", skip_text},
    {"bandwidth", skip_text},
    {"codecs", skip_text},
    {"width", skip_text},
    {"height", skip_text},
    {"frameRate", skip_text},
    {"mimeType", skip_text},
    {"sar", skip_text},
    {"scanType", skip_text},
    {"audioSamplingRate", skip_text},
    {"startWithSAP", skip_text},
    {"qualityRanking", skip_text},
    {"maxPlayoutRate", skip_text},
    {"codingDependency", skip_text},
    {"dependencyId", skip_text},
    {"profiles", skip_text},
    {"maximumSAPPeriod", skip_text},
    {"timescale", skip_text},
    {"duration", skip_text},
    {"startNumber", skip_text},
    {"endNumber", skip_text},
    {"presentationTimeOffset", skip_text},
    {"presentationDuration", skip_text},
    {"eptDelta", skip_text},
    {"availabilityTimeOffset", skip_text},
    {"availabilityTimeComplete", skip_text},
    {"media", skip_template},
    {"initialization", skip_template},
    {"index", skip_template},
    {"schemeIdUri", skip_text},
    {"value", skip_text},
    {"lang", skip_text},
    {"contentType", skip_text},
    {"tag", skip_text},
    {"segmentAlignment", skip_text},
    {"selectionPriority", skip_text},
}};

std::optional<Found> attribute_at(std::string_view text) {
  uint64_t bit = 1;
  for (const Attribute& each : kAttributes) {
    const size_t size = each.name.size();
    if (text.front() == each.name.front() && text.size() > size && text[size] == '=' &&
        text.starts_with(each.name)) {
      return Found{bit, size + 1, each.skip_value};
    }
    bit <<= 1U;
  }
  return std::nullopt;
}

}  // namespace

const char* skip_plain_element(const char* at, const char* end) {
  if (at == end || *at != '<') return nullptr;
  const std::string_view text(at + 1, static_cast<size_t>(end - at) - 1);
  for (const std::string_view name : kElements) {
    if (text.starts_with(name)) {
      return element_scan::skip_attributes(at + 1 + name.size(), end, attribute_at);
    }
  }
  return nullptr;
}

}  // namespace streamgate
