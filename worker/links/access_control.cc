#include "worker/links/access_control.h"

#include <algorithm>
#include <utility>

#include "common/ascii.h"
#include "common/url_path.h"
#include "worker/links/url_scope.h"

namespace streamgate {
namespace {

constexpr std::string_view kBearer = "Bearer ";

Error forbidden(const char* parameter) {
  return Error::for_client(Reason::parameter_forbidden, parameter);
}

Error out_of_scope() { return {Reason::token_scope, {}}; }

// The token of `Authorization: Bearer <token>` (RFC 6750 2.1); empty for any other scheme.
std::string_view bearer_token(std::string_view authorization) {
  if (!ascii::istarts_with(authorization, kBearer)) return {};
  return ascii::trim(authorization.substr(kBearer.size()));
}

bool is_same_origin(const HttpUrl& a, const HttpUrl& b) {
  return a.is_https == b.is_https && a.port == b.port && a.host == b.host;
}

bool is_url(const HttpUrl& asked, const HttpUrl& claim) {
  return is_same_origin(asked, claim) &&
         without_reports(asked.path_and_query) == without_reports(claim.path_and_query);
}

bool has_prefix(const HttpUrl& asked, const HttpUrl& claim) {
  if (!is_same_origin(asked, claim)) return false;
  const std::string_view prefix = claim.path_and_query;
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

// How far the token reaches beyond the URL `url`, which it covers.
Access::Reach reach_of(const TokenClaims& claims, const HttpUrl& url) {
  if (claims.url) return Access::Reach::url;
  if (!claims.prefix) return Access::Reach::directory;
  if (claims.prefix->path_and_query.find('?') != std::string::npos) return Access::Reach::url;
  HttpUrl directory = url;
  directory.path_and_query.resize(url.path().rfind('/') + 1);
  return has_prefix(directory, *claims.prefix) ? Access::Reach::directory : Access::Reach::path;
}

// Whether the MAC of the grant is right, so that the parameters of the link are ours.
bool is_ours(const Result<Access>& granted) {
  if (granted) return true;
  const Reason reason = granted.error().reason;
  return reason == Reason::token_expired || reason == Reason::token_client;
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

Result<Access> AccessControl::check(StreamRequest& request, const Client& client, int64_t now) {
  const std::string_view bearer = bearer_token(client.bearer);
  const std::string_view token = request.token.empty() ? bearer : request.token;
  if (request.grant.empty() && token.empty()) return Error{Reason::token_missing, {}};
  bool has_our_parameters = false;
  if (!request.grant.empty()) {
    auto granted = check_grant(request, client, now);
    if (granted || token.empty()) return granted;
    has_our_parameters = is_ours(granted);
  }
  auto access = check_token(token, request, client, now);
  if (!access || has_our_parameters) return access;
  if (!config_->parameters.headers && (request.has_headers || !request.link.cookies.empty())) {
    return forbidden("headers");
  }
  request.link.variables.clear();
  request.link.kind = LinkKind::any;
  return access;
}

Result<Access> AccessControl::check_grant(const StreamRequest& request, const Client& client,
                                          int64_t now) {
  if (!request.scope.empty() && !is_in_scope(request.upstream, request.scope)) {
    return out_of_scope();
  }
  auto access =
      grants_.verify(request.grant, request.upstream, grants_.covered_part_of(request.link));
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
  // verify() has taken the scope from request.upstream, which is therefore in it.
  const auto in_scope = [&](const UpstreamUrl& alternative) {
    return is_in_scope(alternative.url, access->scope);
  };
  const auto& alternatives = request.alternatives;
  if (!std::all_of(alternatives.begin(), alternatives.end(), in_scope)) return out_of_scope();
  access->streams = claims->streams;
  access->rate = claims->rate;
  access->token_id = claims->token_id;
  return access;
}

Result<Access> AccessControl::check_token(std::string_view token, const StreamRequest& request,
                                          const Client& client, int64_t now) {
  auto verified = tokens_.verify(token, now);
  if (!verified) return std::move(verified).error();
  const TokenClaims& claims = **verified;
  if (claims.client && (!client.address || !claims.client->contains(*client.address))) {
    return Error{Reason::token_client, {}};
  }
  if (!covers(claims, request)) return out_of_scope();
  Access access{claims.key, claims.expires, claims_for_grants(claims)};
  access.streams = claims.streams;
  access.rate = claims.rate;
  access.token_id = claims.id;
  access.reach = reach_of(claims, request.upstream);
  return access;
}

}  // namespace streamgate
