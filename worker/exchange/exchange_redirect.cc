// The part of Exchange that answers with a link of the path form (worker/links/path_link.h).
#include <string>

#include "common/ascii.h"
#include "worker/exchange/exchange.h"
#include "worker/http/media_type.h"
#include "worker/http/own_response.h"
#include "worker/links/path_link.h"
#include "worker/links/url_scope.h"

namespace streamgate {
namespace {

// Whether a document of this type, which is not rewritten, may have relative references.
bool may_have_references(std::string_view type) {
  return ascii::iequals(type, "text/vtt") || ascii::iequals(type, "text/xml") ||
         ascii::iequals(type, "application/xml") || ascii::iequals(type, "application/json") ||
         ascii::iends_with(type, "+xml") || ascii::iends_with(type, "+json");
}

// The manifest of Smooth Streaming: `/a.ism/Manifest`, `/a.isml/manifest`. The player resolves
// the names of its fragments against it.
bool is_smooth_manifest(std::string_view path) {
  constexpr std::string_view kName = "/manifest";
  if (!ascii::iends_with(path, kName)) return false;
  path.remove_suffix(kName.size());
  return ascii::iends_with(path, ".ism") || ascii::iends_with(path, ".isml");
}

std::string directory_of(const HttpUrl& url) { return scope_of(url, directory_depth(url.path())); }

// `/at` beside `/stream`.
std::string path_route_of(const StreamRequest& request) {
  if (!request.path_link_route.empty()) return std::string(request.path_link_route);
  const std::string_view route = request.route_path;
  return std::string(route.substr(0, route.rfind('/') + 1)) + "at";
}

}  // namespace

// Relative links inherit the carry and not the query, so a grant in the carry replaces the token.
void Exchange::redirect_to_granted_link() {
  const GrantKeys& keys = environment_.access.grant_keys();
  std::string parameters;
  append_whole_query_form(request_->link, parameters);
  const bool has_grant = !access_->grant.empty();
  const GrantKeys::Entry entry = has_grant
                                     ? GrantKeys::Entry{access_->grant, access_->scope}
                                     : keys.sign_entry(*access_, request_->upstream, parameters);
  parameters.append("&sg_grant=").append(entry.grant);
  redirect_to(carry_of(parameters, entry.scope), request_->upstream.to_string());
}

// Whether the client would resolve relative references of this answer against another directory
// than the one it came from. For links of the query form this is checked only for manifests of
// Smooth Streaming, which are not rewritten.
bool Exchange::needs_own_link() const {
  if (method_ != Method::get || head_->status != 200) return false;
  if (request_->path_link_route.empty()) return is_smooth_manifest(fetch_->url().path());
  if (!fetch_->is_redirected()) return false;
  const auto declared = extract_media_type(head_->fields).essence;
  if (!may_have_references(media_type_.empty() ? std::string_view(declared) : media_type_)) {
    return false;
  }
  const auto asked = parse_path_link(client_head_.target);
  return asked && directory_of(asked->upstream) != directory_of(fetch_->url());
}

void Exchange::redirect_to_own_link() {
  const std::string url = fetch_->url().to_string();
  std::string parameters;
  append_query_form(request_->link, nearest_child(), parameters);
  add_authorization(parameters);
  if (has_query_with_token(url)) parameters += kRawQuery;
  std::string scope = fetch_->url().origin() + "/";
  if (access_) {
    GrantWriter grants;
    grants.begin(environment_.access.grant_keys(), *access_);
    parameters += grants.parameter_for(url, parameters);
    scope = grants.scope();
  }
  redirect_to(carry_of(parameters, scope), url);
}

void Exchange::redirect_to(std::string_view carry, std::string_view url) {
  std::string location = "Location: " + proxy_origin();
  location += path_route_of(*request_);
  if (!append_path_link(carry, url, location)) {
    return fail(Error::for_client(Reason::bad_url, "dot segments lead out of the path"));
  }
  location += "\r\n";
  OwnResponse response;
  response.status = 302;
  response.extra_fields = location;
  response.head_only = method_ == Method::head;
  response.keep_alive = gate_->may_keep_alive();
  response.client_minor_version = client_head_.minor_version;
  answer(302,
         write_own_response(response, cors_for(environment_.config.cors, client_head_.fields)));
}

}  // namespace streamgate
