#include "worker/documents/dash/segment_run.h"

#include <array>
#include <optional>

#include "worker/documents/dash/element_scan.h"
#include "worker/documents/dash/plain_element.h"

namespace streamgate {
namespace {

using element_scan::Found;
using element_scan::is_blank;
using element_scan::kPlain;
using element_scan::skip_attributes;
using element_scan::skip_blanks;
using element_scan::skip_digits;

constexpr std::array<bool, 256> kOfAuthority = [] {
  std::array<bool, 256> out{};
  for (unsigned char c = '0'; c <= '9'; ++c) out[c] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) out[c] = out[c - ('a' - 'A')] = true;
  out['-'] = out['.'] = out[':'] = true;
  return out;
}();

// Returns the position after plain bytes, or null if they have a dot segment. `before` is the byte
// before them.
const char* skip_path(const char* at, const char* end, char before) {
  for (; at != end && kPlain[static_cast<unsigned char>(*at)]; ++at) {
    if (*at == '.' && before == '/') return nullptr;
    before = *at;
  }
  return at;
}

// Returns the position after a reference without dot segments, or null for anything else.
const char* skip_reference(const char* at, const char* end) {
  return at == end || *at == '/' || *at == '.' ? nullptr : skip_path(at, end, 0);
}

// The size of an origin (`https://cdn.example:8443`) before a slash; 0 for anything else.
size_t origin_size(std::string_view text) {
  const size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  size_t size = scheme;
  if (size == 0) return 0;
  while (size < text.size() && kOfAuthority[static_cast<unsigned char>(text[size])]) ++size;
  const bool is_host = size > scheme && size < text.size() && text[size] == '/';
  return is_host ? size : 0;
}

// Returns the position after a rooted reference or an http(s) URL without dot segments, or null for
// anything else.
const char* skip_outside_reference(const char* at, const char* end) {
  const size_t origin = origin_size({at, static_cast<size_t>(end - at)});
  at += origin;
  if (at == end || *at != '/') return nullptr;
  const bool is_host = origin == 0 && at + 1 != end && at[1] == '/';
  return is_host ? nullptr : skip_path(at, end, 0);
}

// Returns the position after a number, or after the two numbers of a range.
const char* skip_number(const char* at, const char* end) {
  if (at != end && *at == '-') ++at;
  at = skip_digits(at, end);
  return at != end && *at == '-' ? skip_digits(at + 1, end) : at;
}

// An attribute that an element may have. Its place in the list is its bit.
struct Attribute {
  std::string_view name_and_equals;
  const char* (*skip_value)(const char* at, const char* end);
};

constexpr std::array<Attribute, 4> kOfSegmentUrl{{{"media=", skip_reference},
                                                  {"mediaRange=", skip_number},
                                                  {"index=", skip_reference},
                                                  {"indexRange=", skip_number}}};

std::optional<Found> attribute_of_s(std::string_view text) {
  if (text.size() < 2 || text[0] < 'a' || text[0] > 'z' || text[1] != '=') return std::nullopt;
  return Found{uint64_t{1} << static_cast<unsigned>(text[0] - 'a'), 2, skip_number};
}

std::optional<Found> attribute_of_segment_url(std::string_view text) {
  uint64_t bit = 1;
  for (const Attribute& each : kOfSegmentUrl) {
    if (text.starts_with(each.name_and_equals)) {
      return Found{bit, each.name_and_equals.size(), each.skip_value};
    }
    bit <<= 1U;
  }
  return std::nullopt;
}

constexpr std::string_view kSegmentUrl = "<SegmentURL";

// Returns the position after the element that begins at `at`, or null for anything else.
const char* skip_element(const char* at, const char* end) {
  const std::string_view text(at, static_cast<size_t>(end - at));
  if (text.starts_with(kSegmentUrl)) {
    return skip_attributes(at + kSegmentUrl.size(), end, attribute_of_segment_url);
  }
  if (text.starts_with("<S") && text.size() > 2 && (is_blank(text[2]) || text[2] == '/')) {
    return skip_attributes(at + 2, end, attribute_of_s);
  }
  return skip_plain_element(at, end);
}

}  // namespace

std::optional<OutsideSegment> outside_segment(std::string_view text) {
  if (!text.starts_with(kSegmentUrl)) return std::nullopt;
  const char* media = nullptr;
  const auto attribute_at = [&media](std::string_view rest) {
    auto found = attribute_of_segment_url(rest);
    if (found && found->bit == 1) {
      found->skip_value = skip_outside_reference;
      media = rest.data() + found->size + 1;  // after the quote
    }
    return found;
  };
  const char* const end = text.data() + text.size();
  const char* const next = skip_attributes(text.data() + kSegmentUrl.size(), end, attribute_at);
  if (next == nullptr || media == nullptr) return std::nullopt;
  return OutsideSegment{static_cast<size_t>(next - text.data()),
                        static_cast<size_t>(media - text.data()),
                        origin_size({media, static_cast<size_t>(end - media)})};
}

size_t segment_run(std::string_view text) {
  const char* const end = text.data() + text.size();
  const char* at = skip_blanks(text.data(), end);
  while (const char* const next = skip_element(at, end)) at = skip_blanks(next, end);
  return static_cast<size_t>(at - text.data());
}

}  // namespace streamgate
