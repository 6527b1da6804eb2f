// The part of Exchange that begins a document: what its links carry.
#include <utility>

#include "worker/client/client_address.h"
#include "worker/exchange/exchange.h"
#include "worker/links/public_origin.h"

namespace streamgate {
namespace {

// `https://host/prefix` -> `/prefix`
std::string path_of(std::string_view origin) {
  const size_t authority = origin.find("://");
  if (authority == std::string_view::npos) return {};
  const size_t slash = origin.find('/', authority + 3);
  return slash == std::string_view::npos ? std::string() : std::string(origin.substr(slash));
}

}  // namespace

// The kind that the link names. The bytes of an interstitial decide, so it is none without a body.
DocumentKind Exchange::expected_kind() const {
  switch (request_->link.kind) {
    case LinkKind::assets:
      return head_->framing == Framing::none ? DocumentKind::none : DocumentKind::asset_list;
    case LinkKind::steering:
      return DocumentKind::steering;
    case LinkKind::chapters:
      return DocumentKind::chapters;
    case LinkKind::patch:
      return DocumentKind::mpd_patch;
    case LinkKind::remote:
      return DocumentKind::mpd_part;
    case LinkKind::any:
      break;
  }
  return DocumentKind::none;
}

void Exchange::begin_document(DocumentKind kind) {
  is_rewritten_ = true;
  if (kind != DocumentKind::hls) document_type_ = media_type_of(kind);
  std::unique_ptr<DocumentBody> body = environment_.document_bodies.borrow();
  fill_in(body->setting());
  // An answer that is not shared rarely comes again with the same bytes.
  RewrittenTexts* const texts =
      is_shared(fetch_->cache_outcome()) ? &environment_.document_bodies.texts() : nullptr;
  body->begin(kind, sniffer_->codings(), texts);
  Counters& counters = environment_.slot.counters;
  count(counters, Counter::playlists_rewritten);
  path_ = &path_storage_.emplace<DocumentPath>(
      gate_->stream(),
      DocumentPath::Tools{environment_.document_bodies, environment_.work, environment_.wheel,
                          counters},
      std::move(body), static_cast<BodyPath::Observer&>(*this),
      DocumentPath::Delivery{framing_for_unknown_length(), environment_.config.hls.compress_from,
                             head_->content_length});
}

std::string Exchange::proxy_origin() const {
  const Config& config = environment_.config;
  std::string origin =
      public_origin(client_head_, gate_->is_tls() ? "https" : "http",
                    is_trusted(gate_->peer(), config.trusted_proxies), config.public_url);
  const bool is_relative = config.hls.url_style == HlsConfig::UrlStyle::relative;
  if (is_relative) return path_of(origin);
  return origin;
}

void Exchange::fill_in(DocumentSetting& setting) {
  const Config& config = environment_.config;
  setting.base_url.clear();
  fetch_->url().append_to(setting.base_url);
  setting.proxy_origin = proxy_origin();
  setting.route_path = request_->route_path;
  setting.access = access_.get();
  setting.grant_keys = &environment_.access.grant_keys();
  setting.same_origin_parameters.clear();
  append_query_form(request_->link, nearest_child(), setting.same_origin_parameters);
  add_authorization(setting.same_origin_parameters);
  setting.other_origin_parameters.clear();
  append_query_form(request_->link, ChildOrigin::other, setting.other_origin_parameters);
  fill_in_cookies(setting);
  setting.child_urls = config.hls.child_urls;
  setting.own_carry = fetch_->is_redirected() ? std::string() : request_->carry;
  fill_in_options(setting);
  setting.variables = request_->link.variables;
  setting.list_attributes = config.hls.list_attributes;
  setting.longest_line = config.limits.playlist_line;
}

Exchange::OwnHead::OwnHead(const ResponseHead& source) : head(source) {
  size_t size = 0;
  for (const HeaderField& field : head.fields) size += field.name.size() + field.value.size();
  text.reserve(size);  // the views stay valid
  const auto keep = [this](std::string_view view) {
    const size_t at = text.size();
    text += view;
    return std::string_view(text).substr(at);
  };
  for (HeaderField& field : head.fields) field = {keep(field.name), keep(field.value)};
}

// The head of a document that is held or compressed is sent later, when the fetch may have another
// connection, or none.
void Exchange::keep_head() {
  if (head_ == nullptr || own_head_ || client_status_ != 0 || path_ == nullptr) return;
  own_head_ = std::make_unique<OwnHead>(*head_);
  head_ = &own_head_->head;
}

// A link may only lower the limits of the configuration.
void Exchange::fill_in_options(DocumentSetting& setting) const {
  const HlsConfig& config = environment_.config.hls;
  const PlaylistOptions& options = request_->link.options;
  setting.segments_are_direct =
      options.segments.value_or(config.segments) == HlsConfig::Segments::direct;
  setting.max_height = lower_limit(options.max_height, config.max_height);
  setting.max_bandwidth = lower_limit(options.max_bandwidth, config.max_bandwidth);
}

// After a redirect to another origin, the children are not on the origin that the client requested.
ChildOrigin Exchange::nearest_child() const {
  return fetch_->left_origin() ? ChildOrigin::other : ChildOrigin::same;
}

// The children on the redirect's origin get its userinfo too.
void Exchange::add_authorization(std::string& parameters) const {
  if (fetch_->authorization().empty()) return;
  LinkContext redirected;
  take_list_header("Authorization", fetch_->authorization(), redirected);
  const std::string inherited = std::exchange(parameters, {});
  append_query_form_of_child(inherited, redirected, parameters);
}

void Exchange::fill_in_cookies(DocumentSetting& setting) {
  std::string cookies = fetch_->cookies_for_children();
  setting.has_new_cookies = cookies != request_->link.cookies;
  // Settings are compared as a whole (rewritten_texts.h).
  setting.same_origin_parameters_with_cookies.clear();
  setting.other_origin_parameters_with_cookies.clear();
  if (!setting.has_new_cookies) return;
  LinkContext link = request_->link;
  link.cookies = std::move(cookies);
  append_query_form(link, nearest_child(), setting.same_origin_parameters_with_cookies);
  add_authorization(setting.same_origin_parameters_with_cookies);
  append_query_form(link, ChildOrigin::other, setting.other_origin_parameters_with_cookies);
}

}  // namespace streamgate
