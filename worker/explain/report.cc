#include "worker/explain/report.h"

#include <string_view>
#include <utility>

#include "common/log.h"

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

std::string shown(std::string_view text, size_t max) { return printable(log::redact(text), max); }

std::string printable(std::string text, size_t max) {
  std::string out = std::move(text);
  if (out.size() > max) out.replace(max, out.npos, "...");
  for (size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    // U+0080 to U+009F control terminals too.
    const bool begins_c1 =
        byte == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f || begins_c1) out[i] = '?';
  }
  return out;
}

}  // namespace streamgate
