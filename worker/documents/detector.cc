#include "worker/documents/detector.h"

#include <algorithm>
#include <array>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kHeader = "#EXTM3U";
constexpr std::string_view kBlanks = " \t\r\n";

// So much of a body without `#EXTM3U` must look like text. Every binary format that opens with
// printable bytes (TS, RIFF, ID3, Ogg, FLV) shows a control byte by then.
constexpr size_t kEnoughText = 32;

constexpr std::array<std::string_view, 11> kTypes = {"application/vnd.apple.mpegurl",
                                                     "application/x-mpegurl",
                                                     "application/mpegurl",
                                                     "application/vnd.apple.mpegurl.audio",
                                                     "application/vnd.apple.mpegurl.video",
                                                     "application/x-m3u8",
                                                     "audio/mpegurl",
                                                     "audio/x-mpegurl",
                                                     "audio/mpeg-url",
                                                     "video/mpegurl",
                                                     "video/x-mpegurl"};

// True if `text` is a true beginning of `whole`, so that more bytes could complete it.
bool may_become(std::string_view text, std::string_view whole) {
  return text.size() < whole.size() && whole.starts_with(text);
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && kBlanks.find(c) == kBlanks.npos) || byte == 0x7f;
}

// A first byte that no UTF-8 text has: the magic of JPEG, PNG, MPEG audio.
bool is_utf8_start(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4);
}

// `text` begins with its first byte that is not blank and is not `#EXTM3U`.
Verdict judge_hinted(std::string_view text, bool is_final) {
  const char first = text.front();
  if (first == '\x1f' && text.size() == 1 && !is_final) return Verdict::need_more;  // gzip?
  if (first == '<' || first == '{' || first == '[' || !is_utf8_start(first)) return Verdict::other;
  if (std::any_of(text.begin(), text.end(), is_control)) return Verdict::other;
  return is_final || first == '#' || text.size() >= kEnoughText ? Verdict::playlist
                                                                : Verdict::need_more;
}

}  // namespace

bool is_playlist_type(std::string_view content_type) {
  const std::string_view type = ascii::trim(content_type.substr(0, content_type.find(';')));
  return std::any_of(kTypes.begin(), kTypes.end(),
                     [type](std::string_view known) { return ascii::iequals(type, known); });
}

bool has_playlist_extension(std::string_view path) {
  path = path.substr(0, ascii::find_any<'?', '#'>(path));
  return ascii::iends_with(path, ".m3u8") || ascii::iends_with(path, ".m3u");
}

Verdict detect_playlist(std::string_view content_type, std::string_view path,
                        std::string_view first_bytes, bool complete) {
  const bool is_final = complete || first_bytes.size() >= kSniffBytes;
  std::string_view text = first_bytes.substr(0, kSniffBytes);
  if (!is_final && may_become(text, kByteOrderMark)) return Verdict::need_more;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));

  if (text.starts_with(kHeader)) return Verdict::playlist;
  if (!is_final && may_become(text, kHeader)) return Verdict::need_more;  // also while all is blank
  if (text.empty()) return Verdict::other;
  const bool is_hinted = is_playlist_type(content_type) || has_playlist_extension(path);
  return is_hinted ? judge_hinted(text, is_final) : Verdict::other;
}

bool looks_gzipped(std::string_view first_bytes) { return first_bytes.starts_with("\x1f\x8b"); }

}  // namespace streamgate
