#include "worker/links/access_control.h"

#include <algorithm>
#include <utility>

#include "common/ascii.h"
#include "worker/links/upstream_url.h"
#include "worker/links/url_scope.h"

namespace streamgate {
namespace {

constexpr std::string_view kBearer = "Bearer ";

Error forbidden(const char* parameter) {
  return Error::for_client(Reason::parameter_forbidden, parameter);
}

// The headers of the link, as the MAC of its grant covers them.
std::string covered_headers(const StreamRequest& request) {
  std::string form;
  append_query_form(request.link, ChildOrigin::same, form);
  return std::string(header_part_of(form));
}

Error out_of_scope() { return {Reason::token_scope, {}}; }

// The token of `Authorization: Bearer <token>` (RFC 6750 2.1); empty for any other scheme.
std::string_view bearer_token(std::string_view authorization) {
  if (!ascii::istarts_with(authorization, kBearer)) return {};
  return ascii::trim(authorization.substr(kBearer.size()));
}

// Delivery directives (RFC 8216bis 6.2.5) request another state of the same playlist.
std::string without_directives(std::string_view path_and_query) {
  const size_t question = std::min(path_and_query.find('?'), path_and_query.size());
  std::string out(path_and_query.substr(0, question));
  std::string_view rest = path_and_query.substr(question);
  char separator = '?';
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view parameter = rest.substr(0, rest.find('&'));
    rest.remove_prefix(parameter.size());
    if (parameter.starts_with("_HLS_")) continue;
    out += std::exchange(separator, '&');
    out += parameter;
  }
  return out;
}

bool is_url(const HttpUrl& asked, std::string_view claim) {
  const auto allowed = parse_upstream_url(claim);
  return allowed && asked.origin() == allowed->url.origin() &&
         without_directives(asked.path_and_query) ==
             without_directives(allowed->url.path_and_query);
}

bool has_prefix(const HttpUrl& asked, std::string_view claim) {
  const auto allowed = parse_upstream_url(claim);
  if (!allowed || asked.origin() != allowed->url.origin()) return false;
  const std::string_view prefix = allowed->url.path_and_query;
  const std::string_view path = asked.path_and_query;
  if (!path.starts_with(prefix) || is_ambiguous_path(asked.path())) return false;
  // `/live` allows `/live/a` and `/live?a`, not `/liveshow`.
  const std::string_view rest = path.substr(prefix.size());
  constexpr std::string_view kEnds = "/?&";
  return rest.empty() || kEnds.find(prefix.back()) != kEnds.npos ||
         kEnds.find(rest.front()) != kEnds.npos;
}

template <class Allowed>
bool all_urls_are(const StreamRequest& request, Allowed allowed) {
  return allowed(request.upstream) &&
         std::all_of(request.alternatives.begin(), request.alternatives.end(),
                     [&](const UpstreamUrl& alternative) { return allowed(alternative.url); });
}

bool covers(const TokenClaims& claims, const StreamRequest& request) {
  const auto allowed = [&](const HttpUrl& url) {
    return (!claims.url || is_url(url, *claims.url)) &&
           (!claims.prefix || has_prefix(url, *claims.prefix)) && !is_ambiguous_path(url.path());
  };
  return all_urls_are(request, allowed);
}

bool covers_directory(const TokenClaims& claims, const HttpUrl& url) {
  if (claims.url) return false;
  if (!claims.prefix) return true;
  HttpUrl directory = url;
  directory.path_and_query.resize(url.path().rfind('/') + 1);
  return has_prefix(directory, *claims.prefix);
}

bool is_client(const std::optional<IpAddress>& address, std::string_view block) {
  if (block.empty()) return true;
  const auto range = IpRange::parse(block);
  return range && address && range->contains(*address);
}

// Only the claims that a grant needs, because every link carries them.
std::string claims_for_grants(const TokenClaims& claims) {
  if (!claims.client && claims.streams == 0 && claims.rate == 0 && !claims.has_id) return "-";
  return encode_claims(
      {claims.client ? claims.client->to_string() : "", claims.streams, claims.rate, claims.id});
}

}  // namespace

Result<AccessControl> AccessControl::make(const SecurityConfig& config) {
  auto tokens = TokenVerifier::make(config);
  if (!tokens) return std::move(tokens).error();
  return AccessControl(config, *std::move(tokens));
}

Result<void> AccessControl::check_parameters(const StreamRequest& request) const {
  const ParameterRules& rules = config_->parameters;
  if (!rules.live && request.is_live) return forbidden("sg_live");
  if (!rules.alternatives && !request.alternatives.empty()) return forbidden("sg_alt");
  return {};
}

Result<Access> AccessControl::check(const StreamRequest& request, const Client& client,
                                    int64_t now) {
  const std::string_view bearer = bearer_token(client.bearer);
  const std::string_view token = request.token.empty() ? bearer : request.token;
  if (request.grant.empty() && token.empty()) return Error{Reason::token_missing, {}};
  if (!request.grant.empty()) {
    auto granted = check_grant(request, client, now);
    if (granted || token.empty()) return granted;
  }
  return check_token(token, request, client, now);
}

Result<Access> AccessControl::check_grant(const StreamRequest& request, const Client& client,
                                          int64_t now) {
  if (!request.scope.empty() && !is_in_scope(request.upstream, request.scope)) {
    return out_of_scope();
  }
  auto access = grants_.verify(request.grant, request.upstream,
                               grants_.covers_headers() ? covered_headers(request) : "");
  if (!access) return access;
  if (access->expires != 0 && access->expires + TokenVerifier::kSkew <= now) {
    return Error{Reason::token_expired, {}};
  }
  const auto claims = decode_claims(access->claims);
  if (!claims) return Error{Reason::token_invalid, "grant"};
  if (tokens_.is_revoked(access->key->id) || tokens_.is_revoked(claims->token_id)) {
    return Error{Reason::token_invalid, "revoked"};
  }
  if (!is_client(client.address, claims->client)) return Error{Reason::token_client, {}};
  const auto in_scope = [&](const HttpUrl& url) { return is_in_scope(url, access->scope); };
  if (!all_urls_are(request, in_scope)) return out_of_scope();
  access->streams = claims->streams;
  access->rate = claims->rate;
  access->token_id = claims->token_id;
  return access;
}

Result<Access> AccessControl::check_token(std::string_view token, const StreamRequest& request,
                                          const Client& client, int64_t now) const {
  auto claims = tokens_.verify(token, now);
  if (!claims) return std::move(claims).error();
  if (claims->client && (!client.address || !claims->client->contains(*client.address))) {
    return Error{Reason::token_client, {}};
  }
  if (!covers(*claims, request)) return out_of_scope();
  if (!config_->parameters.headers && request.has_headers) return forbidden("headers");
  Access access{claims->key, claims->expires, claims_for_grants(*claims)};
  access.streams = claims->streams;
  access.rate = claims->rate;
  access.token_id = std::move(claims->id);
  access.covers_directory = covers_directory(*claims, request.upstream);
  return access;
}

}  // namespace streamgate
