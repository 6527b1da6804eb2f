// Grants. The links of a document carry a grant in place of the token with which the document was
// requested:
//
//   sg_grant=1.<kid>.<expires>.<depth>.<claims>.<mac>
//
// `claims` is `-` or base64url of `i=<block>;s=<streams>;r=<rate>;t=<token id>`. The MAC
// (HMAC-SHA256, 128 bits) covers all of it and the scope of the link: the origin and the first
// `depth` directories of the URL, or its whole path, which the verifier takes from the link. A
// child below the directory of its parent's grant keeps that grant; any other child gets a grant
// for its own directory. So most playlists need at most one MAC, and a link has the same text each
// time the playlist is requested.
//
// The MAC also covers `sg_v` and `sg_k`: with other variables, or as another kind, a document would
// give links to any URL. With `security.parameters.headers: false` it covers the referer, the
// headers and the cookies of the link too, so that a client can use those that a playlist gave it,
// and no others.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "common/url.h"
#include "worker/links/link_context.h"
#include "worker/loop/signature.h"

namespace streamgate {

// The access that a client has proved with a token or a grant. The links of its document inherit
// it.
struct Access {
  const TokenKey* key = nullptr;  // in SecurityConfig::keys
  int64_t expires = 0;            // seconds since 1970; 0: never
  std::string claims = "-";       // as in a grant
  // The scope (worker/links/url_scope.h) and the text of a grant; both are empty for a token.
  std::string scope = {};
  std::string grant = {};
  std::string covered = {};  // the parameters that the MAC covers, as in the link
  // The limits of the token; of all streams with it or with links of its documents. 0: none.
  uint64_t streams = 0;
  uint64_t rate = 0;          // bytes a second
  std::string token_id = {};  // `jti`, else a digest
  // Of a token: whether it allows everything in the directory of the URL that was requested, its
  // path with any query, or only the URL.
  enum class Reach : uint8_t { directory, path, url };
  Reach reach = Reach::path;
};

// The text `claims` of an access, decoded: its client and its limits.
struct AccessClaims {
  std::string client;  // an address block; empty: any client
  uint64_t streams = 0;
  uint64_t rate = 0;
  std::string token_id;
};
std::string encode_claims(const AccessClaims& claims);
// nullopt for a text that encode_claims() does not write.
std::optional<AccessClaims> decode_claims(std::string_view text);

// Signs and verifies. One per worker.
class GrantKeys {
 public:
  // `config` outlives the object.
  explicit GrantKeys(const SecurityConfig& config);

  // The part of a query form that a MAC covers.
  std::string_view covered_part_of(std::string_view query_form) const;
  // The same for the query form of `link`.
  std::string covered_part_of(const LinkContext& link) const;

  // Fails with token_scope if the path has fewer directories than the grant or is ambiguous, and
  // with token_invalid if the grant is malformed or was made for another scope or other parameters.
  // `covered`: covered_part_of() the link. Does not check expiry and client.
  Result<Access> verify(std::string_view grant, const HttpUrl& url, std::string_view covered);

  // A grant for `scope` and the parameters `covered`, with what `access` allows.
  std::string sign(const Access& access, std::string_view scope, size_t depth,
                   std::string_view covered) const;

  struct Entry {
    std::string grant;
    std::string scope;
  };
  // A grant for the URL of an entry, in place of its token: for the URL's directory, its path or
  // the URL alone, as far as the token reaches. `parameters`: the query form of the link.
  Entry sign_entry(const Access& access, const HttpUrl& url, std::string_view parameters) const;

  // The grants that the links of documents got last: those of a live playlist are the same at each
  // reload.
  struct Made {
    std::string of;         // everything that they depend on
    std::string parameter;  // `&sg_grant=<grant>`, or empty
    std::string scope;
  };
  // The place of a grant that depends on `of`. It may hold another one.
  Made& place_of(std::string_view of) const;

 private:
  struct Key {
    const TokenKey* config;
    HmacKey mac_key;
  };

  const Key* find(std::string_view id) const;

  std::vector<Key> keys_;
  bool covers_headers_;
  // The grants that were verified last, each with its scope, indexed by their hash: a player sends
  // the same ones again and again, and a comparison costs a tenth of a MAC.
  std::array<std::string, 512> verified_;
  mutable std::array<Made, 512> made_;  // likewise
};

// Writes the grants of the links of one document.
class GrantWriter {
 public:
  // `keys` and `access` outlive the document. Forgets the previous document.
  void begin(const GrantKeys& keys, const Access& access);

  // `&sg_grant=<grant>` for the child with this absolute URL and the query form `parameters`; empty
  // if the URL is ambiguous or cannot be requested. Valid until the next call.
  std::string_view parameter_for(std::string_view absolute, std::string_view parameters);
  // The scope of that grant. Valid as long as the parameter is.
  std::string_view scope() const { return scope_; }

 private:
  void make_parameter(std::string_view absolute);
  void take_parameter(std::string_view absolute, std::string_view directory);

  const GrantKeys* keys_ = nullptr;
  const Access* access_ = nullptr;
  std::string identity_;  // of access_
  std::string parameter_;
  std::string scope_;
  std::string directory_;   // that parameter_ is for, as spelled in the URL; empty: none
  std::string covered_;     // the covered parameters that parameter_ is for
  std::string depends_on_;  // scratch
};

}  // namespace streamgate
