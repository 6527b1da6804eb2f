// Writes the head of an upstream's response for the client. The head is built from an allow-list of
// header fields, so that nothing can be smuggled through. No response can run or show as a page of
// ours: active types become text/plain, and every response but HLS has a sandbox.
#pragma once

#include <string>
#include <string_view>

#include "common/config.h"
#include "worker/http/content_coding.h"
#include "worker/http/message.h"

namespace streamgate {

struct RelayedResponse {
  const ResponseHead& upstream;
  std::string_view upstream_path;  // see media_type
  bool is_rewritten = false;       // a document: our type, no validators, `no-cache` by default
  // Of a rewritten document that is no HLS playlist; it gets the sandbox. Empty: HLS.
  std::string_view document_type = {};
  ClientFraming framing = {};
  bool keep_alive = true;  // of the client's connection
  int client_minor_version = 1;
  // The type that the first bytes of the body show; replaces the declared one. Empty: none known.
  // Where no first bytes are seen, the extension of upstream_path takes its place.
  std::string_view media_type = {};
  // The fields of the client's request; they tell whether a media element plays the answer.
  const HeaderFields* client_fields = nullptr;
  std::string_view cache_outcome = {};  // for X-Streamgate-Cache; empty: there is no cache
  // A 206 that has the whole body, although the client requested no range. It is sent as a 200.
  bool is_whole_part = false;
  ContentCoding coding = ContentCoding::identity;  // of a rewritten playlist: identity or gzip
  bool varies_by_coding = false;                   // Vary names Accept-Encoding
  // The client's link. Its name counts if upstream_path, of the last redirect, has no extension.
  std::string_view client_target = {};
  // The proof of the client is not in its URL, so another client's request may have the same URL.
  bool is_private = false;
};

// The status that the client receives: the upstream's, or 200 for a 206 that has the whole body.
int status_for_client(const RelayedResponse& response);

// The response head for the client, with CORS, cache fields and framing.
std::string write_relayed_head(const RelayedResponse& response, const CorsConfig& cors);

}  // namespace streamgate
