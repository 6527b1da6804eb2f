#include "worker/http/media_type.h"

#include <algorithm>
#include <array>

#include "worker/http/grammar.h"

namespace streamgate {
namespace {

// HTML and what browsers render like it, style sheets, and the JavaScript types of WHATWG MIME
// Sniffing 4.6, the legacy ones included.
constexpr std::array<std::string_view, 22> kActive = {
    "text/html",
    "application/xhtml+xml",
    "application/vnd.wap.xhtml+xml",
    "text/xsl",
    "application/xslt+xml",
    "text/css",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/x-ecmascript",
    "text/ecmascript",
    "text/x-ecmascript",
    "text/x-javascript",
    "text/jscript",
    "text/livescript",
    "text/javascript1.0",
    "text/javascript1.1",
    "text/javascript1.2",
    "text/javascript1.3",
    "text/javascript1.4",
    "text/javascript1.5",
};

constexpr std::array<std::string_view, 11> kVague = {
    "text/plain",
    "application/octet-stream",
    "binary/octet-stream",
    "application/binary",
    "application/x-binary",
    "application/force-download",
    "application/x-force-download",
    "application/download",
    "application/x-download",
    "unknown/unknown",
    "application/unknown",
};

constexpr std::string_view kUsualPlaylist = "application/vnd.apple.mpegurl";  // RFC 8216 4

constexpr std::array<std::string_view, 5> kMediaFamilies = {"video/", "audio/", "image/", "font/",
                                                            "multipart/"};

constexpr std::array<std::string_view, 11> kMedia = {
    "text/vtt",
    kUsualPlaylist,
    "application/x-mpegurl",
    "application/mpegurl",
    "application/vnd.apple.mpegurl.audio",
    "application/vnd.apple.mpegurl.video",
    "application/x-m3u8",
    "application/dash+xml",
    "application/mp4",
    "application/ogg",
    "application/ttml+xml",
};

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& types, std::string_view essence) {
  return std::any_of(types.begin(), types.end(),
                     [essence](std::string_view type) { return ascii::iequals(type, essence); });
}

// The end of the first element of a comma list; a comma inside a quoted string separates nothing
// (Fetch, "get, decode, and split").
size_t element_end(std::string_view list) {
  bool quoted = false;
  for (size_t i = 0; i < list.size(); ++i) {
    if (quoted && list[i] == '\\') {
      ++i;
    } else if (list[i] == '"') {
      quoted = !quoted;
    } else if (list[i] == ',' && !quoted) {
      return i;
    }
  }
  return list.size();
}

MediaType parse_element(std::string_view element) {
  MediaType type;
  type.value = ascii::trim(element);
  const std::string_view essence =
      type.value.substr(0, ascii::find_any<' ', '\t', ';', '('>(type.value));
  const size_t slash = essence.find('/');
  if (slash == std::string_view::npos || !http::is_token(essence.substr(0, slash)) ||
      !http::is_token(essence.substr(slash + 1)) || essence == "*/*") {
    return type;
  }
  type.essence = essence;
  const size_t semicolon = type.value.find(';');
  if (semicolon != std::string_view::npos) type.parameters = type.value.substr(semicolon);
  return type;
}

}  // namespace

MediaType extract_media_type(const HeaderFields& fields) {
  MediaType last;
  bool is_first = true;
  bool is_plain = true;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Content-Type")) continue;
    if (!is_first || ascii::find_any<','>(field.value) != std::string_view::npos) is_plain = false;
    is_first = false;
    std::string_view list = field.value;
    while (true) {
      const size_t end = is_plain ? list.size() : element_end(list);
      const MediaType type = parse_element(list.substr(0, end));
      if (!type.essence.empty() || is_plain) last = type;
      if (end == list.size()) break;
      list.remove_prefix(end + 1);
    }
  }
  last.is_plain = is_plain;
  return last;
}

std::optional<std::string_view> plain_media_type(const HeaderFields& fields) {
  std::optional<std::string_view> found;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Content-Type")) continue;
    if (found) return std::nullopt;
    const std::string_view family = field.value.substr(0, 6);
    const bool is_media = family == "video/" || family == "audio/" || family == "image/";
    if (!is_media && field.value != kUsualPlaylist) return std::nullopt;
    if (ascii::find_any<','>(field.value) != std::string_view::npos) return std::nullopt;
    found = field.value;
  }
  return found;
}

TypeClass class_of(std::string_view essence) {
  if (essence.empty()) return TypeClass::vague;
  for (const std::string_view family : kMediaFamilies) {
    if (ascii::istarts_with(essence, family)) return TypeClass::media;
  }
  if (is_one_of(kVague, essence)) return TypeClass::vague;
  if (is_one_of(kMedia, essence)) return TypeClass::media;
  return is_one_of(kActive, essence) ? TypeClass::active : TypeClass::other;
}

TypeClass declared_class(const HeaderFields& fields, const MediaType& type) {
  const TypeClass extracted = class_of(type.essence);
  if (type.is_plain || extracted == TypeClass::active) return extracted;
  // A browser that splits at quoted commas too must find nothing active either.
  bool any_active = false;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Content-Type")) continue;
    if (field.value.find('"') == std::string_view::npos) continue;
    http::for_each_element(field.value, [&](std::string_view element) {
      any_active |= class_of(parse_element(element).essence) == TypeClass::active;
    });
  }
  return any_active ? TypeClass::active : extracted;
}

}  // namespace streamgate
