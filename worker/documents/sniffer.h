// Holds back the first bytes of an answer until the kind of the document is known, and if asked the
// type of media too.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/documents/detector.h"
#include "worker/http/decoder.h"

namespace streamgate {

class BodySniffer {
 public:
  // Whether a body that is no document is searched for the signature of a media type too. checked:
  // only if its first byte may be that of another container than the declared one, so that no byte
  // of a body whose type is right is held back.
  enum class Media { ignored, checked, wanted };

  // `codings` are the codings that the upstream declared. The sniffer also detects a playlist that
  // is coded although no coding was declared, or plain although one was. Both texts must outlive
  // the sniffer.
  BodySniffer(std::string_view content_type, std::string_view path, const ContentCodings& codings,
              Media media);

  // The link says that the document is of this kind, which is one of is_json() or is_dash(). The
  // body is such a document if its first byte after blanks is a bracket of that language, and it is
  // neither an MPD nor a web page, or if all of it is blank. Before the first add().
  void expect(DocumentKind kind) { expected_ = kind; }

  // Takes a piece of the body, still coded. nullopt: the kind is undecided. Until then at most
  // kMaxHeldBytes are kept here. Not to be called again once the kind is decided.
  std::optional<DocumentKind> add(std::string_view bytes);
  // The body is complete.
  DocumentKind end();

  // The bytes before the piece that decided. Empty in the common case, where the first piece
  // decides.
  const std::string& held() const { return held_; }
  // The codings of the body. Meaningful only if the kind is not DocumentKind::none.
  const ContentCodings& codings() const { return codings_; }
  // False: the body is declared as a document, but is binary in an unknown coding.
  bool is_readable() const { return is_readable_; }
  // The type that the first bytes of a body that is no document show. Empty: none, or ignored. A
  // static text.
  std::string_view media_type() const { return media_type_; }
  // Whether a type of media was wanted, but the first bytes are not text and have no signature, as
  // those of an encrypted segment.
  bool is_unnamed_data() const { return is_unnamed_data_; }

  // Whether the body is not a document and begins like HTML.
  bool is_web_page() const { return is_web_page_; }

  static constexpr size_t kMaxHeldBytes = size_t{64} * 1024;

 private:
  std::optional<DocumentKind> detect(std::string_view bytes, bool complete);
  std::optional<DocumentKind> detect_expected(std::string_view bytes, bool complete) const;
  std::optional<DocumentKind> detect_coded(std::string_view bytes, bool complete);
  bool decode_until(size_t limit, std::string_view bytes, std::string_view& left);
  std::optional<DocumentKind> detect_plain(std::string_view bytes, bool complete);
  std::optional<DocumentKind> detect_unknown(std::string_view bytes, bool complete);
  bool find_coding(std::string_view bytes, bool complete);

  std::string_view content_type_;
  std::string_view path_;
  ContentCodings codings_;
  DocumentKind expected_ = DocumentKind::none;
  bool is_readable_ = true;
  bool is_web_page_ = false;
  Media media_;
  std::string_view media_type_;
  bool is_unnamed_data_ = false;
  std::string held_;
  std::unique_ptr<Decoder> decoder_;
  size_t decoded_ = 0;  // bytes of the body that decoder_ has received
  std::string plain_;   // the decoded text, at most kPrologBytes
};

}  // namespace streamgate
