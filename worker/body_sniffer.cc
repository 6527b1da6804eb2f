#include "worker/body_sniffer.h"

#include <utility>

namespace streamgate {

BodySniffer::BodySniffer(std::string content_type, std::string path, ContentCoding coding)
    : content_type_(std::move(content_type)), path_(std::move(path)), coding_(coding) {}

Verdict BodySniffer::add(std::string_view bytes) {
  // The first piece decides nearly always: nothing is copied then.
  if (held_.empty()) {
    const Verdict verdict = judge(bytes, false);
    if (verdict == Verdict::need_more) held_ = bytes;
    return verdict;
  }
  std::string all = held_;
  all += bytes;
  const Verdict verdict = judge(all, all.size() >= kMostHeldBytes);
  if (verdict == Verdict::need_more) held_ = std::move(all);
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

// Inflates what has come so far from its beginning: a few hundred bytes, at most a few times.
Verdict BodySniffer::judge_coded(std::string_view bytes, bool complete) {
  Inflater inflater(coding_);
  std::string plain;
  const auto result = inflater.write(bytes, [&](std::string_view piece) {
    if (plain.size() < kSniffBytes) plain.append(piece.substr(0, kSniffBytes - plain.size()));
  });
  if (!result && plain.empty()) return Verdict::other;
  if (plain.empty()) return complete ? Verdict::other : Verdict::need_more;
  return detect_playlist(content_type_, path_, plain, complete || plain.size() >= kSniffBytes);
}

}  // namespace streamgate
