// The note of a link about the document that contains the link (sg_v): the variables of a
// multivariant playlist, or the URLs of a manifest. Anybody may write one; in links with grants the
// MAC of the grant covers it (GrantKeys::covered_part_of).
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

// `text` as the value of sg_v. Empty if it would be too long for a link.
std::string write_parent_note(std::string_view text);

// The text of a note; empty if `value` is not one.
std::string read_parent_note(std::string_view value);

}  // namespace streamgate
