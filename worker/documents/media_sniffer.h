// The media type of a body, from its first bytes or its file name. For answers whose declared type
// is wrong: with `nosniff` a browser plays nothing that is declared as text.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace streamgate {

// No signature needs more bytes.
constexpr size_t kMediaSniffBytes = 1024;

// The type whose signature the body begins with (WHATWG MIME Sniffing 6, and MPEG-TS, fMP4
// segments, ADTS, FLAC, FLV, Matroska and WebVTT), or an empty text. `first_bytes` is without its
// content coding; `complete` says that no more bytes follow. nullopt: more bytes are needed, which
// happens only below kMediaSniffBytes bytes of an incomplete body.
std::optional<std::string_view> sniff_media_type(std::string_view first_bytes, bool complete);

// The containers that a player takes from the declared type, so that it fails if the type is wrong.
enum class Container { transport_stream, mp4, webvtt, other };

// The container that a type names, with or without parameters.
Container container_of(std::string_view content_type);

// Whether a body that begins with this byte may have a container, and another one than its type
// names.
bool may_be_other_container(char first_byte, std::string_view content_type);

// The media type of the extension of a path, in any letter case, or an empty text.
std::string_view media_type_of_name(std::string_view path);

}  // namespace streamgate
