#include "worker/http/fetch_metadata.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace streamgate {
namespace {

constexpr std::string_view kDestination = "Sec-Fetch-Dest";
constexpr std::string_view kServiceWorker = "Service-Worker";
static_assert(kDestination.size() == kServiceWorker.size());

constexpr std::array<std::string_view, 8> kRunDestinations = {
    "script",        "style",        "worker",       "sharedworker",
    "serviceworker", "audioworklet", "paintworklet", "xslt"};

bool runs(std::string_view destination) {
  return std::any_of(
      kRunDestinations.begin(), kRunDestinations.end(),
      [destination](std::string_view name) { return ascii::iequals(destination, name); });
}

}  // namespace

bool would_run_answer(const HeaderFields& fields) {
  for (const HeaderField& field : fields) {
    if (field.name.size() != kDestination.size()) continue;
    if (ascii::iequals(field.name, kDestination) && runs(field.value)) return true;
    if (ascii::iequals(field.name, kServiceWorker)) return true;
  }
  return false;
}

bool is_for_service_worker(const HeaderFields& fields) {
  return find_field(fields, kServiceWorker) ||
         ascii::iequals(field_or_empty(fields, kDestination), "serviceworker");
}

MediaElement media_element_of(const HeaderFields& fields) {
  const std::string_view destination = field_or_empty(fields, kDestination);
  if (ascii::iequals(destination, "video")) return MediaElement::video;
  if (ascii::iequals(destination, "audio")) return MediaElement::audio;
  if (!destination.empty()) return MediaElement::none;
  const std::string_view accept = field_or_empty(fields, "Accept");
  if (ascii::istarts_with(accept, "video/")) return MediaElement::video;
  if (ascii::istarts_with(accept, "audio/")) return MediaElement::audio;
  // `identity`, or `identity;q=1, *;q=0` in older versions.
  const bool is_chromium_player =
      field_or_empty(fields, "Accept-Encoding").starts_with("identity") &&
      field_or_empty(fields, "User-Agent").starts_with("Mozilla/");
  return is_chromium_player ? MediaElement::video : MediaElement::none;
}

}  // namespace streamgate
