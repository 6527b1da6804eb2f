#include "worker/explain/report.h"

#include <string_view>
#include <utility>

#include "common/utf8.h"
#include "worker/links/logged_link.h"

namespace streamgate {

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::plays:
      return "plays";
    case Verdict::upstream_problem:
      return "upstream_problem";
    case Verdict::refused:
      return "refused";
  }
  return "?";
}

std::string counted(size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string shown(std::string_view text, size_t max) {
  std::string out;
  append_logged_url(text, out);
  return printable(std::move(out), max);
}

std::string printable(std::string text, size_t max) {
  std::string out = std::move(text);
  if (out.size() > max) out.replace(max, out.npos, "...");
  for (size_t i = 0; i < out.size();) {
    const size_t size = utf8_multibyte_size(std::string_view(out).substr(i));
    const auto byte = static_cast<unsigned char>(out[i]);
    // U+0080 to U+009F control terminals too.
    const bool is_c1 = size == 2 && byte == 0xc2 && static_cast<unsigned char>(out[i + 1]) < 0xa0;
    const bool is_printable = size > 0 ? !is_c1 : byte >= 0x20 && byte < 0x7f;
    if (!is_printable) out[i] = '?';
    i += is_printable && size > 0 ? size : 1;
  }
  return out;
}

}  // namespace streamgate
