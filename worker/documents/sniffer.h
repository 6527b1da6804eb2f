// Holds back the first bytes of an answer until it is known whether they are a playlist's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "worker/documents/detector.h"
#include "worker/http/inflater.h"

namespace streamgate {

class BodySniffer {
 public:
  // `coding` as the upstream declared it. A gzip body without a declaration is found out here. The
  // texts outlive the sniffer.
  BodySniffer(std::string_view content_type, std::string_view path, ContentCoding coding);

  // Adds a piece of the body as it came. Once this has not said need_more, no more may be added.
  // While it says so, at most kMostHeldBytes are kept here.
  Verdict add(std::string_view bytes);
  // The body is complete.
  Verdict end();

  // The bytes held back before the piece that decided; empty in the common case, where the first
  // piece does.
  const std::string& held() const { return held_; }
  // What the body is coded with; only for Verdict::playlist.
  ContentCoding coding() const { return coding_; }

  static constexpr size_t kMostHeldBytes = size_t{64} * 1024;

 private:
  Verdict judge(std::string_view bytes, bool complete);
  Verdict judge_coded(std::string_view bytes, bool complete);
  bool claims_playlist() const;

  std::string_view content_type_;
  std::string_view path_;
  ContentCoding coding_;
  std::string held_;
  std::optional<Inflater> inflater_;
  size_t inflated_ = 0;  // bytes of the body that inflater_ has been given
  std::string plain_;    // what came of them, at most kSniffBytes
};

}  // namespace streamgate
