// How header fields may be handed on: which ones concern only one hop, and which ones may be
// repeated.
#pragma once

#include <string_view>

#include "worker/http/message.h"

namespace streamgate {

// Whether the sender meant that field for the next hop only, by naming it in Connection (RFC 9110
// 7.6.1).
bool is_for_this_hop(const HeaderFields& fields, std::string_view name);

// Whether a field of that name is a list that may be sent in several lines (RFC 9110 5.3). Of any
// other field the first one counts. Knows only the fields that cross the proxy.
bool may_repeat(std::string_view name);

// Whether a field is a secret between the client and one origin: Authorization, Cookie.
bool is_secret_header(std::string_view name);

}  // namespace streamgate
