// The media type that the client gets for a relayed body. Players choose the container by it: shaka
// takes it from a HEAD, and fails on `text/plain` and `video/iso.segment`. A declared type that is
// right stays byte for byte.
#pragma once

#include <string_view>

#include "worker/documents/sniffer.h"
#include "worker/exchange/relayed_head.h"

namespace streamgate {

// How the first bytes of a successful response's body are compared with its declared type.
BodySniffer::Media media_to_sniff(const ResponseHead& upstream);

// The type by the extension of the upstream's path, or else of the URL that the client's link asked
// for, or of the link's own path. Empty: none has a known extension.
std::string_view type_of_names(std::string_view upstream_path, std::string_view client_target);

// The value of Content-Type, in two parts. Both are views into the response's fields, or static.
struct RelayedType {
  std::string_view value;            // empty: the response has no type
  std::string_view parameters = {};  // of a declared type whose essence was replaced
};

RelayedType type_for_client(const RelayedResponse& response);

}  // namespace streamgate
