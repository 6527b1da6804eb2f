// The media type of a response, as a browser reads it from Content-Type.
#pragma once

#include <optional>
#include <string_view>

#include "worker/http/message.h"

namespace streamgate {

// Views into the fields.
struct MediaType {
  std::string_view essence;     // `type/subtype` in the sender's letter case; empty: none is valid
  std::string_view parameters;  // from the first `;` on, or empty
  std::string_view value;       // the part of the fields that holds both; if none is valid, any
  // Only one reading of the fields is possible: there is one field, and it has no comma.
  bool is_plain = true;
};

// WHATWG Fetch, "extract a MIME type": of several fields and of the elements of a comma list the
// last valid one counts (`text/plain, text/html` is html). Like browsers, and unlike WHATWG MIME
// Sniffing 4.4, it accepts text or a comment after the subtype (`text/html x`, `text/html(x)`).
MediaType extract_media_type(const HeaderFields& fields);

// The value of the only Content-Type, if it has no comma and begins with video/, audio/ or image/,
// or if it is the usual type of a playlist: such a value needs no extract_media_type().
std::optional<std::string_view> plain_media_type(const HeaderFields& fields);

enum class TypeClass {
  media,   // audio, video, image, multipart, playlists, subtitles, fonts: relayed as declared
  active,  // HTML, XHTML, XSLT, CSS, JavaScript: would run or show as ours
  vague,   // no type, text/plain, octet-stream and the like: says nothing about the body
  other,
};

TypeClass class_of(std::string_view essence);

// The class of the declared type. Also active if any reading of ambiguous fields is active.
TypeClass declared_class(const HeaderFields& fields, const MediaType& type);

}  // namespace streamgate
