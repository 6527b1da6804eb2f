#include "worker/documents/known_name.h"

#include "common/ascii.h"
#include "worker/documents/detector.h"
#include "worker/documents/media_sniffer.h"

namespace streamgate {

bool has_known_name(std::string_view reference) {
  const std::string_view path = reference.substr(0, ascii::find_any<'?', '#'>(reference));
  return claimed_kind({}, path) != DocumentKind::none || !media_type_of_name(path).empty();
}

}  // namespace streamgate
