#include "worker/documents/sniffer.h"

#include <algorithm>

#include "common/ascii.h"
#include "worker/documents/dash/root_element.h"
#include "worker/documents/media_sniffer.h"
#include "worker/documents/utf16.h"
#include "worker/documents/web_page.h"

namespace streamgate {
namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
constexpr std::string_view kPlaylistHeader = "#EXTM3U";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The maximum of decoder calls without output. After that the body counts as unreadable.
constexpr size_t kMaxIdleCalls = 16;

std::string_view without_blanks(std::string_view bytes) {
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  return bytes;
}

bool starts_json(std::string_view bytes) {
  const std::string_view text = without_blanks(bytes);
  return text.starts_with('{') || text.starts_with('[');
}

// Whether more bytes may complete a byte order mark or bring a bracket.
bool is_blank(std::string_view bytes) {
  return without_blanks(bytes).empty() || kByteOrderMark.starts_with(bytes);
}

}  // namespace

BodySniffer::BodySniffer(std::string_view content_type, std::string_view path,
                         const ContentCodings& codings, Media media)
    : content_type_(content_type), path_(path), codings_(codings), media_(media) {}

std::optional<DocumentKind> BodySniffer::add(std::string_view bytes) {
  // The first piece nearly always decides: then nothing is copied.
  if (held_.empty()) {
    const auto kind = detect(bytes, false);
    if (!kind) held_ = bytes;
    return kind;
  }
  const size_t held_before = held_.size();
  held_ += bytes;
  const auto kind = detect(held_, held_.size() >= kMaxHeldBytes);
  if (kind) held_.resize(held_before);
  return kind;
}

DocumentKind BodySniffer::end() { return detect(held_, true).value_or(DocumentKind::none); }

std::optional<DocumentKind> BodySniffer::detect(std::string_view bytes, bool complete) {
  if (bytes.empty() && !complete) return std::nullopt;
  if (bytes.empty()) return DocumentKind::none;
  if (!find_coding(bytes, complete)) return std::nullopt;
  if (!codings_.empty()) return detect_coded(bytes, complete);
  if (codings_.has_unknown()) return detect_unknown(bytes, complete);
  return detect_plain(bytes, complete);
}

// Corrects codings_ by the first bytes. False: more bytes are needed.
bool BodySniffer::find_coding(std::string_view bytes, bool complete) {
  if (codings_.empty()) {
    const char first = bytes.front();
    if (first != kGzipMagic.front() && first != kZstdMagic.front()) return true;
    const bool is_claimed = claimed_kind(content_type_, path_) != DocumentKind::none;
    if (!is_claimed && expected_ == DocumentKind::none) return true;
    if (bytes.starts_with(kGzipMagic)) codings_ = ContentCoding::gzip;
    if (bytes.starts_with(kZstdMagic)) codings_ = ContentCoding::zstd;
    return complete ||
           !(ascii::may_become(bytes, kGzipMagic) || ascii::may_become(bytes, kZstdMagic));
  }
  if (decoder_ != nullptr) return true;
  std::string_view text = bytes;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.starts_with(kPlaylistHeader)) codings_ = {};
  const bool is_plain_xml = text.starts_with("<?xml") || text.starts_with("<MPD");
  if (is_plain_xml && claimed_kind(content_type_, path_) == DocumentKind::mpd) codings_ = {};
  return complete ||
         !(ascii::may_become(text, kPlaylistHeader) || ascii::may_become(bytes, kByteOrderMark));
}

// Words that name no coding are ignored.
std::optional<DocumentKind> BodySniffer::detect_unknown(std::string_view bytes, bool complete) {
  const auto kind = detect_plain(bytes, complete);
  if (kind != DocumentKind::none || !media_type_.empty()) return kind;
  const DocumentKind claimed = claimed_kind(content_type_, path_);
  if (claimed == DocumentKind::none || !looks_binary(bytes)) return kind;
  is_readable_ = false;
  return claimed;
}

std::optional<DocumentKind> BodySniffer::detect_plain(std::string_view bytes, bool complete) {
  if (expected_ != DocumentKind::none) {
    const auto expected = detect_expected(bytes, complete);
    if (expected != DocumentKind::none) return expected;
  }
  const auto kind = detect_kind(content_type_, path_, bytes, complete);
  if (kind == DocumentKind::none) is_web_page_ = begins_like_web_page(bytes);
  if (media_ == Media::ignored || kind != DocumentKind::none) return kind;
  if (media_ == Media::checked && !bytes.empty() &&
      !may_be_other_container(bytes.front(), content_type_)) {
    return kind;
  }
  const auto type = sniff_media_type(bytes, complete);
  if (!type) return std::nullopt;
  media_type_ = *type;
  is_unnamed_data_ = media_ == Media::wanted && type->empty() && looks_binary(bytes);
  return kind;
}

// none: the body is not of the expected kind.
std::optional<DocumentKind> BodySniffer::detect_expected(std::string_view bytes,
                                                         bool complete) const {
  if (is_blank(bytes)) return complete ? std::optional(expected_) : std::nullopt;
  if (is_json(expected_)) return starts_json(bytes) ? expected_ : DocumentKind::none;
  std::string utf8;
  if (may_be_utf16(bytes)) {
    Utf16Decoder().decode(bytes, utf8);
    if (utf8.empty() && !complete) return std::nullopt;
    bytes = utf8;
  }
  const std::string_view text = without_blanks(bytes);
  if (!text.starts_with('<')) return DocumentKind::none;
  const auto is_mpd = has_mpd_root(text);
  if (!is_mpd && !complete) return std::nullopt;
  return is_mpd.value_or(false) || begins_like_web_page(text) ? DocumentKind::none : expected_;
}

// Decodes only new bytes. A body that arrives in single bytes must not be decoded from its
// beginning for each one.
std::optional<DocumentKind> BodySniffer::detect_coded(std::string_view bytes, bool complete) {
  if (!decoder_) decoder_ = make_decoder(codings_);
  std::string_view left = bytes.substr(decoded_);
  bool is_final = complete;
  // The first text nearly always decides. Only a long prolog needs more.
  for (const size_t limit : {kSniffBytes, kPrologBytes}) {
    if (!decode_until(limit, bytes, left)) is_final = true;
    decoded_ = bytes.size() - left.size();
    if (plain_.empty()) return is_final ? std::optional(DocumentKind::none) : std::nullopt;
    const bool is_last = is_final && (limit == kPrologBytes || plain_.size() < limit);
    const auto kind = detect_plain(plain_, is_last);
    if (kind || plain_.size() < limit) return kind;
  }
  return std::nullopt;
}

// False: no more can be decoded.
bool BodySniffer::decode_until(size_t limit, std::string_view bytes, std::string_view& left) {
  size_t idle_calls = 0;
  while (plain_.size() < limit) {
    const auto piece = decoder_->next(left);
    if (!piece && plain_.empty() && codings_.drop_repeated()) {
      decoder_ = make_decoder(codings_);
      left = bytes;
      idle_calls = 0;
      continue;
    }
    if (!piece || idle_calls == kMaxIdleCalls) return false;
    plain_.append(piece->substr(0, kPrologBytes - plain_.size()));
    if (!piece->empty()) continue;
    if (left.empty() && !decoder_->may_have_more()) break;
    ++idle_calls;
  }
  return true;
}

}  // namespace streamgate
