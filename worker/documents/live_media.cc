#include "worker/documents/live_media.h"

#include <array>

#include "common/ascii.h"
#include "worker/documents/media_sniffer.h"

namespace streamgate {
namespace {

struct Row {
  std::string_view type;
  LiveMedia media;
};

constexpr std::array<Row, 14> kTypes = {{
    {"video/mp2t", LiveMedia::packets},
    {"video/mpegts", LiveMedia::packets},
    {"video/mpeg-ts", LiveMedia::packets},
    {"audio/aac", LiveMedia::frames},
    {"audio/aacp", LiveMedia::frames},
    {"audio/x-aac", LiveMedia::frames},
    {"audio/mpeg", LiveMedia::frames},
    {"audio/mp3", LiveMedia::frames},
    {"audio/x-mpeg", LiveMedia::frames},
    {"audio/x-mp3", LiveMedia::frames},
    {"application/ogg", LiveMedia::frames},
    {"audio/ogg", LiveMedia::frames},
    {"video/ogg", LiveMedia::frames},
    {"audio/opus", LiveMedia::frames},
}};

LiveMedia media_of(std::string_view type) {
  for (const Row& row : kTypes) {
    if (ascii::iequals(row.type, type)) return row.media;
  }
  return LiveMedia::none;
}

}  // namespace

LiveMedia live_media_of(std::string_view declared_type, std::string_view first_bytes) {
  const std::string_view shown = sniff_media_type(first_bytes, true).value_or(std::string_view());
  return media_of(shown.empty() ? declared_type : shown);
}

}  // namespace streamgate
