// Holds back the first bytes of an answer until the kind of the document is known, and if asked the
// type of media too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "worker/documents/detector.h"
#include "worker/http/inflater.h"

namespace streamgate {

class BodySniffer {
 public:
  // Whether a body that is no document is searched for the signature of a media type too.
  enum class Media { ignored, wanted };

  // `coding` is the one that the upstream declared; undeclared gzip is detected here. Both texts
  // must outlive the sniffer.
  BodySniffer(std::string_view content_type, std::string_view path, ContentCoding coding,
              Media media);

  // Takes a piece of the body, still coded. nullopt: the kind is undecided. Until then at most
  // kMaxHeldBytes are kept here. Not to be called again once the kind is decided.
  std::optional<DocumentKind> add(std::string_view bytes);
  // The body is complete.
  DocumentKind end();

  // The bytes in front of the piece that decided. Empty in the common case, where the first piece
  // decides.
  const std::string& held() const { return held_; }
  // The coding of the body. Meaningful only if the kind is not DocumentKind::none.
  ContentCoding coding() const { return coding_; }
  // The type that the first bytes of a body that is no document show. Empty: none, or ignored. A
  // static text.
  std::string_view media_type() const { return media_type_; }

  static constexpr size_t kMaxHeldBytes = size_t{64} * 1024;

 private:
  std::optional<DocumentKind> detect(std::string_view bytes, bool complete);
  std::optional<DocumentKind> detect_coded(std::string_view bytes, bool complete);
  std::optional<DocumentKind> detect_plain(std::string_view bytes, bool complete);

  std::string_view content_type_;
  std::string_view path_;
  ContentCoding coding_;
  Media media_;
  std::string_view media_type_;
  std::string held_;
  std::optional<Inflater> inflater_;
  size_t inflated_ = 0;  // bytes of the body that inflater_ has been given
  std::string plain_;    // the inflated text, at most kSniffBytes
};

}  // namespace streamgate
