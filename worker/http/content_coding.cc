#include "worker/http/content_coding.h"

#include <string_view>
#include <utility>

#include "common/ascii.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

using Name = std::pair<std::string_view, ContentCoding>;
constexpr std::array<Name, 6> kNames = {{
    {"identity", ContentCoding::identity},
    {"gzip", ContentCoding::gzip},
    {"x-gzip", ContentCoding::gzip},
    {"deflate", ContentCoding::deflate},
    {"br", ContentCoding::brotli},
    {"zstd", ContentCoding::zstd},
}};

void add_named(std::string_view name, ContentCodings& codings) {
  for (const auto& [known, coding] : kNames) {
    if (ascii::iequals(name, known)) return codings.add(coding);
  }
  codings.add_unknown();
}

}  // namespace

void ContentCodings::add(ContentCoding coding) {
  if (coding == ContentCoding::identity) return;
  if (size_ == kMaxCodings) return add_unknown();
  codings_[size_++] = coding;
}

bool ContentCodings::drop_repeated() {
  if (size_ < 2 || codings_[size_ - 1] != codings_[size_ - 2]) return false;
  codings_[--size_] = ContentCoding::identity;
  return true;
}

ContentCodings parse_content_codings(const HeaderFields& fields) {
  ContentCodings codings;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Content-Encoding")) continue;
    http::for_each_element(field.value, [&](std::string_view name) { add_named(name, codings); });
  }
  return codings;
}

}  // namespace streamgate
