#include "worker/documents/sniffer.h"

namespace streamgate {

BodySniffer::BodySniffer(std::string_view content_type, std::string_view path, ContentCoding coding)
    : content_type_(content_type), path_(path), coding_(coding) {}

Verdict BodySniffer::add(std::string_view bytes) {
  // The first piece decides nearly always: nothing is copied then.
  if (held_.empty()) {
    const Verdict verdict = judge(bytes, false);
    if (verdict == Verdict::need_more) held_ = bytes;
    return verdict;
  }
  const size_t held_before = held_.size();
  held_ += bytes;
  const Verdict verdict = judge(held_, held_.size() >= kMostHeldBytes);
  if (verdict != Verdict::need_more) held_.resize(held_before);
  return verdict;
}

Verdict BodySniffer::end() { return judge(held_, true); }

bool BodySniffer::claims_playlist() const {
  return is_playlist_type(content_type_) || has_playlist_extension(path_);
}

Verdict BodySniffer::judge(std::string_view bytes, bool complete) {
  if (bytes.empty()) return complete ? Verdict::other : Verdict::need_more;
  if (coding_ == ContentCoding::identity && claims_playlist()) {
    // The magic number has two bytes.
    if (bytes.size() == 1 && bytes[0] == '\x1f' && !complete) return Verdict::need_more;
    if (looks_gzipped(bytes)) coding_ = ContentCoding::gzip;
  }
  if (coding_ == ContentCoding::unknown) {
    // It cannot be looked into. What calls itself a playlist is refused by the exchange.
    return claims_playlist() ? Verdict::playlist : Verdict::other;
  }
  if (coding_ != ContentCoding::identity) return judge_coded(bytes, complete);
  return detect_playlist(content_type_, path_, bytes, complete);
}

// Inflates what is new: a body in single bytes must not be inflated from its beginning each time.
Verdict BodySniffer::judge_coded(std::string_view bytes, bool complete) {
  if (!inflater_) inflater_.emplace(coding_);
  const auto result = inflater_->write(bytes.substr(inflated_), [&](std::string_view piece) {
    plain_.append(piece.substr(0, kSniffBytes - plain_.size()));
  });
  inflated_ = bytes.size();
  if (!result && plain_.empty()) return Verdict::other;
  if (plain_.empty()) return complete ? Verdict::other : Verdict::need_more;
  return detect_playlist(content_type_, path_, plain_, complete || !result);
}

}  // namespace streamgate
