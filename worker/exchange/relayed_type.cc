#include "worker/exchange/relayed_type.h"

#include "worker/documents/media_sniffer.h"
#include "worker/fetch/resumption.h"
#include "worker/http/fetch_metadata.h"
#include "worker/http/media_type.h"
#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

// How much of the body its first bytes show.
enum class Beginning {
  seen,
  short_part,  // a part from byte 0 on that is too short for every signature
  unseen,      // an answer to HEAD
  later_part,
};

bool begins_at_first_byte(const ResponseHead& upstream) {
  return upstream.status != 206 ||
         ascii::istarts_with(field_or_empty(upstream.fields, "Content-Range"), "bytes 0-");
}

Beginning beginning_of(const RelayedResponse& response) {
  const ResponseHead& upstream = response.upstream;
  if (!begins_at_first_byte(upstream)) return Beginning::later_part;
  if (response.framing.kind == ClientFraming::Kind::none) return Beginning::unseen;
  if (upstream.status != 206) return Beginning::seen;
  const auto range = parse_content_range(field_or_empty(upstream.fields, "Content-Range"));
  const bool is_short = range && range->last + 1 != range->whole && range->last < kMediaSniffBytes;
  return is_short ? Beginning::short_part : Beginning::seen;
}

// Empty: no media element has sent the request.
std::string_view type_for_element(const RelayedResponse& response) {
  if (response.client_fields == nullptr) return {};
  switch (media_element_of(*response.client_fields)) {
    case MediaElement::video:
      return "video/mp4";
    case MediaElement::audio:
      return "audio/mpeg";
    case MediaElement::none:
      break;
  }
  return {};
}

bool is_audio(std::string_view type) { return ascii::istarts_with(type, "audio/"); }

std::string_view names_of(const RelayedResponse& response) {
  return type_of_names(response.upstream_path, response.client_target);
}

// The type of an MP4 body: its first boxes are the same for audio, video and text.
std::string_view mp4_type(const RelayedResponse& response, std::string_view declared) {
  constexpr std::string_view kText = "application/mp4";
  if (is_audio(declared)) return "audio/mp4";
  const std::string_view name = names_of(response);
  if (is_audio(name)) return "audio/mp4";
  return name == kText ? kText : "video/mp4";
}

// Whether a declared type of media names another container than the first bytes or the name, which
// show `actual`. Types of media for which no player depends on the declared type stay as they are.
bool is_wrong(std::string_view declared, std::string_view actual) {
  const Container container = container_of(actual);
  return container != Container::other && container != container_of(declared) &&
         !ascii::istarts_with(actual, "image/") && !ascii::istarts_with(declared, "multipart/");
}

// No player has a decoder by the names of MPEG-DASH segments (ISO/IEC 23009-1), and the bytes of an
// encrypted segment show no type.
std::string_view segment_type(std::string_view declared) {
  if (ascii::iequals(declared, "video/iso.segment")) return "video/mp4";
  if (ascii::iequals(declared, "audio/iso.segment")) return "audio/mp4";
  return {};
}

// The type that replaces a declared type of media, or an empty text.
std::string_view media_correction(const RelayedResponse& response, std::string_view declared) {
  const bool is_seen = !response.media_type.empty() || beginning_of(response) == Beginning::seen;
  const std::string_view actual = is_seen ? response.media_type : names_of(response);
  if (!is_wrong(declared, actual)) return segment_type(declared);
  return actual == "video/mp4" ? mp4_type(response, declared) : actual;
}

// The type that replaces a declared type that is no media, or an empty text.
std::string_view vague_correction(const RelayedResponse& response, std::string_view declared,
                                  TypeClass type_class) {
  if (response.media_type == "video/mp4") return mp4_type(response, declared);
  if (!response.media_type.empty()) return response.media_type;
  const Beginning beginning = beginning_of(response);
  if (beginning == Beginning::seen) return {};
  const std::string_view name = names_of(response);
  const bool is_part = beginning != Beginning::unseen;
  if (!name.empty() || !is_part || type_class == TypeClass::other) return name;
  // A browser whose first part was declared as media plays a later part only if it is declared so
  // too: Opaque Response Blocking in Chromium 156 drops octet-stream then. It does not compare the
  // two types.
  const std::string_view element = type_for_element(response);
  if (!element.empty()) return element;
  return beginning == Beginning::later_part ? "application/octet-stream" : "";
}

// A subtitle player reads the bytes only, so bodies of any type are declared as text/vtt.
TypeClass class_for_players(const HeaderFields& fields, const MediaType& type) {
  if (ascii::iequals(type.essence, "text/vtt")) return TypeClass::other;
  return declared_class(fields, type);
}

// The type that replaces the declared one, or an empty text.
std::string_view correction(const RelayedResponse& response, std::string_view declared,
                            TypeClass type_class) {
  const int status = response.upstream.status;
  if (status < 200 || status > 299) return {};
  const std::string_view type = type_class == TypeClass::media
                                    ? media_correction(response, declared)
                                    : vague_correction(response, declared, type_class);
  return ascii::iequals(type, declared) ? std::string_view() : type;
}

}  // namespace

BodySniffer::Media media_to_sniff(const ResponseHead& upstream) {
  using Media = BodySniffer::Media;
  if (!begins_at_first_byte(upstream)) return Media::ignored;
  if (plain_media_type(upstream.fields)) return Media::checked;
  const MediaType type = extract_media_type(upstream.fields);
  return class_for_players(upstream.fields, type) == TypeClass::media ? Media::checked
                                                                      : Media::wanted;
}

std::string_view type_of_names(std::string_view upstream_path, std::string_view client_target) {
  if (const auto type = media_type_of_name(upstream_path); !type.empty()) return type;
  if (route_of(client_target) == Route::stream) {
    const auto asked = parse_stream_request(client_target);
    const auto type = asked ? media_type_of_name(asked->upstream.path()) : std::string_view();
    if (!type.empty()) return type;
  }
  return media_type_of_name(client_target.substr(0, client_target.find('?')));
}

RelayedType type_for_client(const RelayedResponse& response) {
  const HeaderFields& fields = response.upstream.fields;
  // A 304 would put the declared type in place of the corrected one in a cache (RFC 9111 3.2).
  if (response.upstream.status == 304) return {};
  if (const auto media = plain_media_type(fields)) {
    const std::string_view essence = ascii::trim(media->substr(0, media->find(';')));
    const std::string_view corrected = correction(response, essence, TypeClass::media);
    return {corrected.empty() ? *media : corrected};
  }
  const MediaType type = extract_media_type(fields);
  const std::string_view corrected =
      correction(response, type.essence, class_for_players(fields, type));
  if (!corrected.empty()) return {corrected};
  if (declared_class(fields, type) == TypeClass::active) {
    return {"text/plain", type.is_plain ? type.parameters : std::string_view()};
  }
  // Only the effective one of several values is sent, so that every client reads the same.
  return {type.value};
}

}  // namespace streamgate
