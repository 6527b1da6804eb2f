#include "worker/links/grant.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>

#include "common/ascii.h"
#include "common/check.h"
#include "common/url_path.h"
#include "worker/http/base64.h"
#include "worker/links/upstream_url.h"
#include "worker/links/url_scope.h"
#include "worker/loop/signature.h"

namespace streamgate {
namespace {

constexpr std::string_view kVersion = "1";
constexpr std::string_view kParameter = "&sg_grant=";
constexpr size_t kMacBytes = 16;
constexpr size_t kParts = 6;
constexpr size_t kMaxGrantBytes = 1024;
constexpr size_t kMaxKnownBytes = 2048;  // longer texts are not remembered

Error invalid(const char* rule) { return {Reason::token_invalid, rule}; }

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  const bool is_canonical = text == "0" || (!text.empty() && text.front() != '0');
  if (error != std::errc() || at != end || !is_canonical) return std::nullopt;
  return value;
}

std::optional<std::array<std::string_view, kParts>> split(std::string_view grant) {
  std::array<std::string_view, kParts> parts;
  for (size_t i = 0; i < kParts; ++i) {
    const size_t dot = i + 1 < kParts ? grant.find('.') : grant.size();
    if (dot == grant.npos) return std::nullopt;
    parts[i] = grant.substr(0, dot);
    grant.remove_prefix(std::min(dot + 1, grant.size()));
  }
  return parts;
}

// Removes `i=..;` from the front of the claims and returns its value; nullopt if they begin with
// another name.
std::optional<std::string> take(std::string_view& claims, std::string_view name) {
  if (!claims.starts_with(name)) return std::nullopt;
  const size_t end = claims.find(';');
  if (end == claims.npos) return std::nullopt;
  std::string value(claims.substr(name.size(), end - name.size()));
  claims.remove_prefix(end + 1);
  return value;
}

// Neither a scope nor a query form has a blank.
std::string mac_of(const HmacKey& key, std::string_view signed_part, std::string_view scope,
                   std::string_view covered) {
  std::string text(signed_part);
  text.append(" ").append(scope);
  if (!covered.empty()) text.append(" ").append(covered);
  std::string mac;
  append_base64url(std::string_view(key.mac_of(text)).substr(0, kMacBytes), mac);
  return mac;
}

}  // namespace

std::string encode_claims(const AccessClaims& claims) {
  std::string text = "i=" + claims.client + ";s=" + std::to_string(claims.streams) +
                     ";r=" + std::to_string(claims.rate) + ";t=";
  append_base64url(claims.token_id, text);
  text += ';';
  std::string encoded;
  append_base64url(text, encoded);
  return encoded;
}

std::optional<AccessClaims> decode_claims(std::string_view text) {
  if (text == "-") return AccessClaims{};
  const auto decoded = decode_base64url(text);
  if (!decoded) return std::nullopt;
  std::string_view rest = *decoded;
  auto client = take(rest, "i=");
  const auto streams = number_of<uint64_t>(take(rest, "s=").value_or(""));
  const auto rate = number_of<uint64_t>(take(rest, "r=").value_or(""));
  auto id = decode_base64url(take(rest, "t=").value_or(""));
  if (!client || !streams || !rate || !id || !rest.empty()) return std::nullopt;
  return AccessClaims{*std::move(client), *streams, *rate, *std::move(id)};
}

GrantKeys::GrantKeys(const SecurityConfig& config) : covers_headers_(!config.parameters.headers) {
  for (const TokenKey& key : config.keys) {
    const Secret& secret =
        key.algorithm == TokenKey::Algorithm::hs256 ? key.secret : config.grant_secret;
    // A derived key, so that the MAC of a grant is never the signature of a token.
    keys_.push_back({&key, HmacKey(hmac_sha256(secret.view(), "streamgate grant 1 " + key.id))});
  }
}

const GrantKeys::Key* GrantKeys::find(std::string_view id) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const Key& key) { return key.config->id == id; });
  return found == keys_.end() ? nullptr : &*found;
}

Result<Access> GrantKeys::verify(std::string_view grant, const HttpUrl& url,
                                 std::string_view covered) {
  const auto parts = split(grant);
  if (grant.size() > kMaxGrantBytes || !parts || (*parts)[0] != kVersion) return invalid("grant");
  const auto& [version, id, expires_text, depth_text, claims, mac] = *parts;
  const Key* const key = find(id);
  const auto expires = number_of<int64_t>(expires_text);
  const auto depth = number_of<size_t>(depth_text);
  if (key == nullptr || !expires || !depth) return invalid("grant");
  if (*depth > directory_depth(url.path()) + 2 || is_ambiguous_path(url.path())) {
    return Error{Reason::token_scope, {}};
  }
  Access access{key->config,           *expires,           std::string(claims),
                scope_of(url, *depth), std::string(grant), std::string(covered)};
  // The grant is last: scope and parameters have no blank, but any text may be asked for as a
  // grant.
  std::string proof = access.scope + " " + access.covered + " " + access.grant;
  std::string& known = verified_[std::hash<std::string>{}(proof) % verified_.size()];
  if (equal_in_constant_time(known, proof)) return access;
  const std::string_view signed_part = grant.substr(0, grant.size() - mac.size() - 1);
  if (!equal_in_constant_time(mac_of(key->mac_key, signed_part, access.scope, covered), mac)) {
    // The URL has fewer directories than the grant, so it is above the scope.
    const bool is_above = *depth > directory_depth(url.path());
    return is_above ? Error{Reason::token_scope, {}} : invalid("grant");
  }
  if (proof.size() <= kMaxKnownBytes) known = std::move(proof);
  return access;
}

std::string GrantKeys::sign(const Access& access, std::string_view scope, size_t depth,
                            std::string_view covered) const {
  const Key* const key = find(access.key->id);
  CHECK(key != nullptr);
  std::string grant(kVersion);
  grant.append(".").append(access.key->id).append(".").append(std::to_string(access.expires));
  grant.append(".").append(std::to_string(depth)).append(".").append(access.claims);
  const std::string mac = mac_of(key->mac_key, grant, scope, covered);
  return grant.append(".").append(mac);
}

GrantKeys::Entry GrantKeys::sign_entry(const Access& access, const HttpUrl& url,
                                       std::string_view parameters) const {
  const size_t depth = directory_depth(url.path()) + static_cast<size_t>(access.reach);
  std::string scope = scope_of(url, depth);
  std::string grant = sign(access, scope, depth, covered_part_of(parameters));
  return {std::move(grant), std::move(scope)};
}

std::string_view GrantKeys::covered_part_of(std::string_view query_form) const {
  if (query_form.empty()) return {};
  const auto [headers, document] = parts_of(query_form);
  return covers_headers_ ? query_form.substr(0, headers.size() + document.size()) : document;
}

std::string GrantKeys::covered_part_of(const LinkContext& link) const {
  // It is empty for nearly all links.
  if (!covers_headers_ && link.variables.empty() && link.kind == LinkKind::any) return {};
  std::string form;
  append_whole_query_form(link, form);
  return std::string(covered_part_of(form));
}

GrantKeys::Made& GrantKeys::place_of(std::string_view of) const {
  return made_[std::hash<std::string_view>{}(of) % made_.size()];
}

void GrantWriter::begin(const GrantKeys& keys, const Access& access) {
  keys_ = &keys;
  access_ = &access;
  parameter_.clear();
  scope_.clear();
  directory_.clear();
  covered_.clear();
  // None of these texts has a blank, so two accesses never have the same identity.
  identity_.assign(access.key->id).append(" ").append(std::to_string(access.expires));
  identity_.append(" ").append(access.claims).append(" ").append(access.grant);
  identity_.append(" ").append(access.scope).append(" ").append(access.covered);
}

std::string_view GrantWriter::parameter_for(std::string_view absolute,
                                            std::string_view parameters) {
  if (const auto covered = keys_->covered_part_of(parameters); covered_ != covered) {
    covered_ = covered;
    directory_.clear();
  }
  const std::string_view url = absolute.substr(0, ascii::find_any<'?', '#'>(absolute));
  const size_t name_at = url.rfind('/') + 1;
  const std::string_view directory = url.substr(0, name_at);
  // A host without a path stands where others have their directory.
  const size_t host_at = url.find_first_not_of('/', url.find("//"));
  const bool has_path = host_at != url.npos && name_at > host_at;
  // With one of these bytes the upstream may read the name as another path, or it is a placeholder.
  const bool is_plain = has_path && ascii::find_any<'%', '\\', ';', '{'>(url, name_at) == url.npos;
  if (is_plain && !directory_.empty() && directory == directory_) return parameter_;
  if (is_plain) {
    take_parameter(absolute, directory);
  } else {
    make_parameter(absolute);
  }
  directory_ = is_plain && !parameter_.empty() ? directory : std::string_view();
  return parameter_;
}

// For a child whose grant depends on its directory and not on its name. A name like `..` gets no
// grant, and the other names of its directory do, so only a grant is remembered.
void GrantWriter::take_parameter(std::string_view absolute, std::string_view directory) {
  depends_on_.assign(identity_).append(" ").append(covered_).append(" ").append(directory);
  GrantKeys::Made& made = keys_->place_of(depends_on_);
  if (made.of == depends_on_) {
    parameter_ = made.parameter;
    scope_ = made.scope;
    return;
  }
  make_parameter(absolute);
  if (parameter_.empty() || depends_on_.size() > kMaxKnownBytes) return;
  made = {depends_on_, parameter_, scope_};
}

void GrantWriter::make_parameter(std::string_view absolute) {
  parameter_.clear();
  scope_.clear();
  const auto url = parse_upstream_url(absolute.substr(0, absolute.find('#')));
  if (!url || is_ambiguous_path(url->url.path())) return;
  parameter_ = kParameter;
  // A grant for one path is no grant for the others in its directory, which get the same parameter.
  const bool has_directory = access_->scope.ends_with('/');
  if (has_directory && covered_ == access_->covered && is_in_scope(url->url, access_->scope)) {
    parameter_ += access_->grant;
    scope_ = access_->scope;
    return;
  }
  // Players replace the placeholders of catchup-source, so the scope ends before the first one.
  const std::string_view path = url->url.path();
  const size_t depth = directory_depth(path.substr(0, path.find("%7B")));
  scope_ = scope_of(url->url, depth);
  parameter_ += keys_->sign(*access_, scope_, depth, covered_);
}

}  // namespace streamgate
