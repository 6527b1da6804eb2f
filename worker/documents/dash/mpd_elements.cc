#include "worker/documents/dash/mpd_elements.h"

#include <algorithm>
#include <array>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr MpdElement kOther;

constexpr std::array<MpdElement, 21> kElements = {{
    {"BaseURL", UrlPlace::base_url, true, {}},
    {"SegmentURL", UrlPlace::segment, false, {"media", "index"}},
    {"SegmentTemplate",
     UrlPlace::segment,
     false,
     {"media", "initialization", "index", "bitstreamSwitching"}},
    {"Initialization", UrlPlace::segment, false, {"sourceURL"}},
    {"RepresentationIndex", UrlPlace::segment, false, {"sourceURL"}},
    {"BitstreamSwitching", UrlPlace::segment, false, {"sourceURL"}},
    {"AdaptationSet", UrlPlace::segment, false, {"initializationPrincipal"}},
    {"InitializationSet", UrlPlace::segment, false, {"initialization"}},
    {"InitializationGroup", UrlPlace::segment, false, {"initialization"}},
    {"CryptoPeriod", UrlPlace::segment, false, {"keyUriTemplate", "ivUriTemplate"}},
    {"CryptoTimeline", UrlPlace::segment, false, {"keyUriTemplate", "ivUriTemplate"}},
    {"Location", UrlPlace::document, true, {}},
    {"PatchLocation", UrlPlace::document, true, {}, LinkKind::patch},
    {"ContentSteering", UrlPlace::document, true, {"proxyServerURL"}, LinkKind::steering},
    {"ImportedMPD", UrlPlace::document, true, {"uri", "url"}},
    {"AlternativeMPD", UrlPlace::event, false, {"uri", "url"}},
    {"InsertPresentation", UrlPlace::event, false, {"uri", "url"}},
    {"ReplacePresentation", UrlPlace::event, false, {"uri", "url"}},
    {"UTCTiming", UrlPlace::clock, false, {"value"}},
    {"EssentialProperty", UrlPlace::descriptor, false, {"value", "dvb:url"}},
    {"SupplementalProperty", UrlPlace::descriptor, false, {"value", "dvb:url"}},
}};

}  // namespace

const MpdElement& mpd_element(std::string_view name) {
  for (const MpdElement& element : kElements) {
    if (element.name == name) return element;
  }
  return kOther;
}

bool has_foreign_name(std::string_view name) {
  return name == "CryptoPeriod" || name == "CryptoTimeline";
}

bool is_url_scheme(std::string_view scheme_id_uri) {
  return ascii::istarts_with(scheme_id_uri, "urn:mpeg:dash:utc:http-") ||
         ascii::istarts_with(scheme_id_uri, "urn:mpeg:dash:chaining:") ||
         ascii::istarts_with(scheme_id_uri, "urn:mpeg:dash:mpd-chaining:") ||  // GPAC's spelling
         ascii::istarts_with(scheme_id_uri, "urn:mpeg:dash:fallback:");
}

bool is_font_scheme(std::string_view scheme_id_uri) {
  return ascii::istarts_with(scheme_id_uri, "urn:dvb:dash:fontdownload:");
}

std::string_view value_of(const char** attributes, std::string_view name) {
  for (; *attributes != nullptr; attributes += 2) {
    if (attributes[0] == name) return attributes[1];
  }
  return {};
}

bool has_url(const MpdElement& element, std::string_view attribute) {
  const bool has_prefix = !prefix_of(attribute).empty();
  return std::any_of(std::begin(element.attributes), std::end(element.attributes),
                     [&](std::string_view known) {
                       if (!has_prefix || prefix_of(known).empty()) return known == attribute;
                       return local_name(known) == local_name(attribute);
                     });
}

}  // namespace streamgate
