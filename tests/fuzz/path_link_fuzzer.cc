// A relative reference that stays in a document resolves against the document's link to the link of
// its own URL, also for browsers, which leave out tabs and line ends. The input is the path of the
// document, a line end, and the reference.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/url.h"
#include "worker/links/path_link.h"

namespace {

using namespace streamgate;

// `base` is the URL of the document, and `link` its link.
void check_resolves(std::string_view base, std::string_view link, std::string_view reference) {
  std::string resolved;
  resolve_reference(split_uri(base), reference, resolved);
  std::string wanted = "http://p/at";
  if (!append_path_link("-", resolved, wanted)) return;
  std::string found;
  resolve_reference(split_uri(link), reference, found);
  CHECK(found == wanted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
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
  check_resolves(base_text, link, reference);
  std::string for_browsers(reference);
  std::erase_if(for_browsers, [](char c) { return c == '\t' || c == '\n' || c == '\r'; });
  if (for_browsers.empty()) return 0;
  CHECK(is_relative_in_place(for_browsers, directories_above(base->path())));
  check_resolves(base_text, link, for_browsers);
  return 0;
}
