#include "worker/documents/sniffer.h"

#include "worker/documents/media_sniffer.h"

namespace streamgate {

BodySniffer::BodySniffer(std::string_view content_type, std::string_view path, ContentCoding coding,
                         Media media)
    : content_type_(content_type), path_(path), coding_(coding), media_(media) {}

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
  if (coding_ == ContentCoding::identity && bytes[0] == '\x1f' &&
      claimed_kind(content_type_, path_) != DocumentKind::none) {
    // The magic number has two bytes.
    if (bytes.size() == 1 && !complete) return std::nullopt;
    if (looks_gzipped(bytes)) coding_ = ContentCoding::gzip;
  }
  // A body in an unknown coding cannot be read. The exchange refuses it if it claims to be a
  // document.
  if (coding_ == ContentCoding::unknown) return claimed_kind(content_type_, path_);
  if (coding_ != ContentCoding::identity) return detect_coded(bytes, complete);
  return detect_plain(bytes, complete);
}

std::optional<DocumentKind> BodySniffer::detect_plain(std::string_view bytes, bool complete) {
  const auto kind = detect_kind(content_type_, path_, bytes, complete);
  if (media_ == Media::ignored || kind != DocumentKind::none) return kind;
  const auto type = sniff_media_type(bytes, complete);
  if (!type) return std::nullopt;
  media_type_ = *type;
  return kind;
}

// Inflates only new bytes. A body that arrives in single bytes must not be inflated from its
// beginning for each one.
std::optional<DocumentKind> BodySniffer::detect_coded(std::string_view bytes, bool complete) {
  if (!inflater_) inflater_.emplace(coding_);
  std::string_view left = bytes.substr(inflated_);
  bool is_final = complete;
  while (plain_.size() < kSniffBytes) {
    const auto piece = inflater_->next(left);
    if (!piece) is_final = true;
    if (!piece || piece->empty()) break;
    plain_.append(piece->substr(0, kSniffBytes - plain_.size()));
  }
  inflated_ = bytes.size() - left.size();
  if (plain_.empty()) return is_final ? std::optional(DocumentKind::none) : std::nullopt;
  return detect_plain(plain_, is_final);
}

}  // namespace streamgate
