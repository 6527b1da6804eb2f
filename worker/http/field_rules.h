// Rules for forwarding header fields: which ones are for one hop only, and which ones may be
// repeated.
#pragma once

#include <string_view>

#include "worker/http/message.h"

namespace streamgate {

// Whether Connection may name a field: it has another value than `keep-alive` or `close`. If false
// for a head, is_for_this_hop() is false for each of its fields.
bool connection_names_fields(const HeaderFields& fields);

// Whether Connection names that field: the field must not be forwarded (RFC 9110 7.6.1).
bool is_for_this_hop(const HeaderFields& fields, std::string_view name);

// Whether a field of that name is a list that may be sent in several lines (RFC 9110 5.3). Of other
// fields only the first line is used. Only fields that the proxy forwards are known.
bool may_repeat(std::string_view name);

// Whether a field is a secret between the client and one origin: Authorization, Cookie.
bool is_secret_header(std::string_view name);

}  // namespace streamgate
