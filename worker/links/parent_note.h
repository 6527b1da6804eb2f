// The note of a link about the document that it stands in (sg_v): the variables of a multivariant
// playlist, or the URLs of a manifest. Anybody may write one. In links with grants it ends with a
// MAC, so that a client cannot get grants for a host that only its own note names.
#pragma once

#include <string>
#include <string_view>

#include "worker/links/document_setting.h"

namespace streamgate {

// `text` as the value of sg_v. Empty if it would be too long for a link.
std::string write_parent_note(std::string_view text, const DocumentSetting& setting);

// The text of the note of the document's own link, DocumentSetting::variables. Empty if the link
// has none, or if it should have a MAC and has another one.
std::string read_parent_note(const DocumentSetting& setting);

}  // namespace streamgate
