#include "worker/documents/dash/timeline_run.h"

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

const char* skip_blanks(const char* at, const char* end) {
  while (at != end && is_blank(*at)) ++at;
  return at;
}

// Behind `t="1001"`; null for anything else. `seen` has a bit for each letter.
const char* skip_attribute(const char* at, const char* end, unsigned& seen) {
  constexpr ptrdiff_t kShortest = 4;
  if (end - at < kShortest || *at < 'a' || *at > 'z' || at[1] != '=') return nullptr;
  const unsigned bit = 1U << (*at - 'a');
  if ((seen & bit) != 0) return nullptr;
  seen |= bit;
  const char quote = at[2];
  if (quote != '"' && quote != '\'') return nullptr;
  at += 3;
  if (at != end && *at == '-') ++at;
  while (at != end && ascii::is_digit(*at)) ++at;
  return at != end && *at == quote ? at + 1 : nullptr;
}

// Behind the element that begins at `at`; null for anything else.
const char* skip_element(const char* at, const char* end) {
  constexpr ptrdiff_t kShortest = 4;
  if (end - at < kShortest || at[0] != '<' || at[1] != 'S') return nullptr;
  at += 2;
  unsigned seen = 0;
  for (;;) {
    const char* const attribute = skip_blanks(at, end);
    if (end - attribute < 2) return nullptr;
    if (attribute[0] == '/') return attribute[1] == '>' ? attribute + 2 : nullptr;
    if (attribute == at) return nullptr;  // no blank in front of it
    at = skip_attribute(attribute, end, seen);
    if (at == nullptr) return nullptr;
  }
}

}  // namespace

size_t timeline_run(std::string_view text) {
  const char* const end = text.data() + text.size();
  const char* at = skip_blanks(text.data(), end);
  while (const char* const next = skip_element(at, end)) at = skip_blanks(next, end);
  return static_cast<size_t>(at - text.data());
}

}  // namespace streamgate
