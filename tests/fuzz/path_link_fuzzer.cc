// A relative reference that stays in a document resolves against the document's link to the link of
// its own URL. The input is the path of the document, a line end, and the reference.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/url.h"
#include "worker/links/path_link.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace streamgate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line_end = text.find('\n');
  if (line_end == text.npos) return 0;
  const auto base = parse_http_url("https://h/" + std::string(text.substr(0, line_end)));
  if (!base) return 0;
  const std::string_view reference = text.substr(line_end + 1);

  const std::string base_text = base->to_string();
  std::string link = "http://p/at";
  if (!append_path_link("-", base_text, link)) return 0;
  if (const auto asked = parse_path_link(std::string_view(link).substr(8)); asked) {
    CHECK(asked->upstream.origin() == base->origin());
  }
  if (!is_relative_in_place(reference, directories_above(base->path()))) return 0;
  std::string resolved;
  resolve_reference(split_uri(base_text), reference, resolved);
  std::string wanted = "http://p/at";
  if (!append_path_link("-", resolved, wanted)) return 0;
  std::string found;
  resolve_reference(split_uri(link), reference, found);
  CHECK(found == wanted);
  return 0;
}
