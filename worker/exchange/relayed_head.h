// Writes the head of an upstream's response for the client. The head is built anew from an
// allow-list of header fields, so that nothing can be smuggled through.
#pragma once

#include <string>
#include <string_view>

#include "common/config.h"
#include "worker/http/message.h"

namespace streamgate {

struct RelayedResponse {
  const ResponseHead& upstream;
  std::string_view upstream_path;  // decides the default Cache-Control of segments
  bool is_playlist = false;        // rewritten: our type and cache fields, no validators
  ClientFraming framing = {};
  bool keep_alive = true;  // of the client's connection
  int client_minor_version = 1;
};

// The response head for the client, with CORS, cache fields and framing.
std::string write_relayed_head(const RelayedResponse& response, const CorsConfig& cors);

}  // namespace streamgate
