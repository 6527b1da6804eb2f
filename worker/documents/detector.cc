#include "worker/documents/detector.h"

#include <algorithm>
#include <array>
#include <string>

#include "common/ascii.h"
#include "worker/documents/dash/root_element.h"
#include "worker/documents/hls/playlist_header.h"
#include "worker/documents/utf16.h"

namespace streamgate {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlanks = " \t\r\n";

// A body without `#EXTM3U` must look like text for this many bytes. Every binary format that starts
// with printable bytes (TS, RIFF, ID3, Ogg, FLV) has a control byte among them.
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

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && kBlanks.find(c) == kBlanks.npos) || byte == 0x7f;
}

// Whether UTF-8 text can start with this byte. JPEG, PNG and MPEG audio start with other bytes.
bool is_utf8_start(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4);
}

// For a body that claims to be a playlist and does not start with `#EXTM3U`. `text` starts with a
// byte that is not blank.
std::optional<DocumentKind> check_claimed_playlist(std::string_view text, bool is_final) {
  const char first = text.front();
  if (first == '\x1f' && text.size() == 1 && !is_final) return std::nullopt;  // gzip?
  if (first == '<' || first == '{' || first == '[' || !is_utf8_start(first)) {
    return DocumentKind::none;
  }
  if (std::any_of(text.begin(), text.end(), is_control)) return DocumentKind::none;
  if (is_final || first == '#' || text.size() >= kEnoughText) return DocumentKind::hls;
  return std::nullopt;
}

bool is_playlist_type(std::string_view essence) {
  return std::any_of(kTypes.begin(), kTypes.end(),
                     [essence](std::string_view known) { return ascii::iequals(essence, known); });
}

bool is_mpd_type(std::string_view essence) {
  return ascii::iequals(essence, "application/dash+xml") ||
         ascii::iequals(essence, "video/vnd.mpeg.dash.mpd");
}

bool is_pls_type(std::string_view essence) {
  return ascii::iequals(essence, "audio/x-scpls") || ascii::iequals(essence, "audio/scpls") ||
         ascii::iequals(essence, "application/pls+xml");
}

bool has_playlist_extension(std::string_view path) {
  return ascii::iends_with(path, ".m3u8") || ascii::iends_with(path, ".m3u");
}

// The content type and path of an answer.
struct Claim {
  std::string_view content_type;
  std::string_view path;
};

}  // namespace

DocumentKind claimed_kind(std::string_view content_type, std::string_view path) {
  const std::string_view essence =
      ascii::trim(content_type.substr(0, ascii::find_any<';'>(content_type)));
  if (is_playlist_type(essence)) return DocumentKind::hls;
  if (is_mpd_type(essence)) return DocumentKind::mpd;
  if (is_pls_type(essence)) return DocumentKind::pls;
  path = path.substr(0, ascii::find_any<'?', '#'>(path));
  if (has_playlist_extension(path)) return DocumentKind::hls;
  if (ascii::iends_with(path, ".pls")) return DocumentKind::pls;
  return ascii::iends_with(path, ".mpd") ? DocumentKind::mpd : DocumentKind::none;
}

namespace {

// PHP writes its messages as HTML before the document: `<br />\n<b>Warning</b>: ..`.
bool may_be_messages(std::string_view text) {
  return text.front() == '<' && !ascii::istarts_with(text, "<!doctype") &&
         !ascii::istarts_with(text, "<html");
}

// Whether the header is a line of its own after the first line.
bool has_header_line(std::string_view text) {
  constexpr std::string_view kHeaderLine = "\n#EXTM3U";
  const size_t at = text.find(kHeaderLine);
  if (at == text.npos || at + kHeaderLine.size() == text.size()) return false;
  return kBlanks.find(text[at + kHeaderLine.size()]) != kBlanks.npos;
}

// For a text that neither begins with `#EXTM3U` nor can be a playlist without it.
std::optional<DocumentKind> find_header_behind(std::string_view text, bool is_claimed,
                                               bool is_final) {
  const bool is_whole = is_final || text.find_first_of("\r\n") != text.npos;
  if (is_whole && find_playlist_header(text) != text.npos) return DocumentKind::hls;
  const bool is_in_messages = may_be_messages(text);
  if (is_in_messages && has_header_line(text)) return DocumentKind::hls;
  const bool needs_more = is_in_messages ? !is_final : is_claimed && !is_whole;
  return needs_more ? std::nullopt : std::optional(DocumentKind::none);
}

// The beginning of a body, and whether it is long enough to decide.
struct Beginning {
  std::string_view text;
  bool is_final;         // in general
  bool is_whole_prolog;  // if it has nothing but the prolog of an XML document
};

// For a text that begins with `<`. none: it may still be another kind.
std::optional<DocumentKind> detect_xml(DocumentKind claimed, const Beginning& bytes) {
  const auto is_mpd = has_mpd_root(bytes.text);
  if (is_mpd) return *is_mpd ? DocumentKind::mpd : DocumentKind::none;
  // Messages of PHP may precede a playlist, and their first line decides.
  if (claimed == DocumentKind::hls) return DocumentKind::none;
  const bool decides = claimed == DocumentKind::none ? bytes.is_whole_prolog : bytes.is_final;
  return decides ? std::optional(claimed) : std::nullopt;
}

// For a body that claims to be a PLS list.
std::optional<DocumentKind> detect_pls(std::string_view text, bool is_final) {
  constexpr std::string_view kHeader = "[playlist]";
  if (ascii::istarts_with(text, kHeader)) return DocumentKind::pls;
  const bool may_follow = ascii::istarts_with(kHeader, text) && !is_final;
  return may_follow ? std::nullopt : std::optional(DocumentKind::none);
}

std::optional<DocumentKind> detect_text(const Claim& claim, const Beginning& bytes) {
  std::string_view text = bytes.text.substr(0, kSniffBytes);
  const bool is_final = bytes.is_final;
  if (!is_final && ascii::may_become(text, kByteOrderMark)) return std::nullopt;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));

  if (text.starts_with(kPlaylistHeader)) return DocumentKind::hls;
  // True also while all bytes are blanks.
  if (!is_final && ascii::may_become(text, kPlaylistHeader)) return std::nullopt;
  if (text.empty()) return DocumentKind::none;
  const DocumentKind claimed = claimed_kind(claim.content_type, claim.path);
  if (text.front() == '<') {
    const std::string_view xml = bytes.text.substr(bytes.text.find('<'));
    const auto kind = detect_xml(claimed, {xml, is_final, bytes.is_whole_prolog});
    if (kind != DocumentKind::none) return kind;
  }
  if (claimed == DocumentKind::pls) return detect_pls(text, is_final);
  const bool is_claimed = claimed == DocumentKind::hls;
  if (is_claimed) {
    const auto kind = check_claimed_playlist(text, is_final);
    return kind == DocumentKind::none ? find_header_behind(text, true, is_final) : kind;
  }
  // Not in media: the search would cost time for each body.
  if (!ascii::istarts_with(claim.content_type, "text/")) return DocumentKind::none;
  return find_header_behind(text, false, is_final);
}

}  // namespace

std::optional<DocumentKind> detect_kind(std::string_view content_type, std::string_view path,
                                        std::string_view first_bytes, bool complete) {
  const bool is_final = complete || first_bytes.size() >= kSniffBytes;
  const bool is_whole_prolog = complete || first_bytes.size() >= kPrologBytes;
  const std::string_view bytes = first_bytes.substr(0, kPrologBytes);
  const Claim claim{content_type, path};
  if (!may_be_utf16(bytes)) return detect_text(claim, {bytes, is_final, is_whole_prolog});
  if (bytes.size() == 1 && !is_final) {
    // MPEG audio begins with the same byte, and must not be held back.
    const bool is_claimed = claimed_kind(content_type, path) != DocumentKind::none;
    return is_claimed ? std::nullopt : std::optional(DocumentKind::none);
  }
  std::string text;
  Utf16Decoder().decode(bytes, text);
  return detect_text(claim, {text, is_final, is_whole_prolog});
}

bool looks_binary(std::string_view first_bytes) {
  const std::string_view text = first_bytes.substr(0, kSniffBytes);
  return std::any_of(text.begin(), text.end(), is_control);
}

}  // namespace streamgate
