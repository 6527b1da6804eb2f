#include "worker/explain/body_kind.h"

#include <algorithm>

#include "common/ascii.h"
#include "worker/documents/detector.h"

namespace streamgate {
namespace {

constexpr std::string_view kPageAdvice =
    "The URL leads to a web page, not to a stream: to a login, a block page, or the page around a "
    "player. Find the media URL that the page itself loads, and give it the page's URL as referer.";

// Without a byte order mark and blanks.
std::string_view without_blanks(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\r' ||
                           text.front() == '\n')) {
    text.remove_prefix(1);
  }
  return text;
}

bool has_tag(std::string_view text, std::string_view tag) {
  constexpr size_t kSearchedBytes = 1024;
  text = text.substr(0, kSearchedBytes);
  return std::search(text.begin(), text.end(), tag.begin(), tag.end(), [](char a, char b) {
           return ascii::to_lower(a) == ascii::to_lower(b);
         }) != text.end();
}

BodyKind kind_of_text(std::string_view declared, std::string_view text) {
  if (text.starts_with("<")) {
    if (has_tag(text, "<mpd")) return {"DASH manifest", true};
    if (has_tag(text, "<html") || has_tag(text, "<!doctype html") || has_tag(text, "<head") ||
        has_tag(text, "<body") || has_tag(text, "<script")) {
      return {"HTML page", false, std::string(kPageAdvice)};
    }
    return {"XML document", false, "The URL leads to an XML document, which no player plays."};
  }
  if (text.starts_with("{") || text.starts_with("[")) {
    return {"JSON document", false,
            "The URL leads to JSON, which may contain the media URL or an error message."};
  }
  if (ascii::istarts_with(declared, "text/html")) {
    return {"HTML page", false, std::string(kPageAdvice)};
  }
  return {"text", false, "The URL leads to a text, which may be an error message."};
}

}  // namespace

BodyKind body_kind_of(std::string_view sniffed, std::string_view declared,
                      std::string_view first_bytes) {
  if (!sniffed.empty()) return {std::string(sniffed), true};
  if (first_bytes.empty()) {
    return {"empty body", false, "The upstream sends no byte. Try again later."};
  }
  if (!looks_binary(first_bytes)) return kind_of_text(declared, without_blanks(first_bytes));
  const std::string_view essence = ascii::trim(declared.substr(0, declared.find(';')));
  if (essence.empty()) return {"unknown binary data", true};
  return {std::string(essence.substr(0, 64)) + " (as declared)", true};
}

BodyKind damaged_body() {
  return {"damaged data", false,
          "The body is not in the coding that Content-Encoding or its first bytes name, so no "
          "player can read it."};
}

}  // namespace streamgate
