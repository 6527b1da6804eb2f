#include "worker/documents/dash/mpd_links.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/links/path_link.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

// `https://cdn.example:8443`, in one spelling; empty if it cannot be requested.
std::string origin_of(std::string_view absolute) {
  const UriParts parts = split_uri(absolute);
  const auto url = parse_http_url(std::string(parts.scheme) + "://" + std::string(parts.authority));
  return url ? url->origin() : std::string();
}

// `%2e` as a dot, as clients read it in dot segments (WHATWG URL, 4.1).
std::string with_plain_dots(std::string_view url) {
  std::string out;
  const size_t path_end = std::min(url.find_first_of("?#"), url.size());
  for (size_t i = 0; i < url.size(); ++i) {
    const bool is_dot = i < path_end && ascii::istarts_with(url.substr(i), "%2e");
    out += is_dot ? '.' : url[i];
    if (is_dot) i += 2;
  }
  return out;
}

// The relative reference to the root of a base: `.` or `../..`.
std::string climb(size_t directories) {
  if (directories == 0) return ".";
  std::string out = "..";
  while (--directories > 0) out += "/..";
  return out;
}

}  // namespace

void MpdBase::join(const MpdBase& other) {
  const UriParts own = split_uri(url);
  const UriParts others = split_uri(other.url);
  has_one_origin = has_one_origin && other.has_one_origin &&
                   ascii::iequals(own.scheme, others.scheme) &&
                   ascii::iequals(own.authority, others.authority);
  has_equal_directories =
      has_equal_directories && other.has_equal_directories && directories == other.directories;
  directories = std::min(directories, other.directories);
}

void MpdLinks::begin(const DocumentSetting& setting) {
  setting_ = &setting;
  has_new_cookies_ = false;
  origin_ = origin_of(setting.base_url);
  has_token_ = has_query_with_token(setting.base_url);
  if (setting.access == nullptr) {
    grants_.reset();
  } else {
    if (!grants_) grants_.emplace();
    grants_->begin(*setting.grant_keys, *setting.access);
  }
  begin_links();
}

void MpdLinks::carry_new_cookies() {
  if (!setting_->has_new_cookies) return;
  has_new_cookies_ = true;
  begin_links();
}

void MpdLinks::begin_links() {
  absolute_ = setting_->base_url;
  const std::string_view parameters = parameters_of_child({});
  links_.begin(*setting_, parameters, grants_ ? grants_->scope() : std::string_view());
}

bool MpdLinks::append(const MpdBase& base, const Reference& reference, std::string& out) {
  if (reference.rule == LinkRule::outside) {
    if (stays(base, reference.text)) return false;
    if (climbs(base, reference.text)) {
      out.append(climb(base.directories)).append(reference.text);
      return true;
    }
  }
  const UriParts base_parts = split_uri(base.url);
  const std::string_view text = plain_spelling(base_parts, reference.text);
  const UriParts parts = split_uri(text);
  if ((parts.has_scheme && !is_http_scheme(parts.scheme)) || is_ours(text)) return false;
  absolute_.clear();
  resolve_reference(base_parts, text, absolute_);
  if (split_uri(absolute_).authority.empty()) return false;
  return append_link(reference, out);
}

// Valid until the next call.
std::string_view MpdLinks::plain_spelling(const UriParts& base, std::string_view reference) {
  return with_plain_slashes(base.scheme, without_tabs(reference, tabless_), spelling_);
}

MpdBase MpdLinks::base_below(const MpdBase& base, std::string_view base_url) {
  const UriParts outer = split_uri(base.url);
  const std::string_view text = plain_spelling(outer, base_url);
  MpdBase made;
  resolve_reference(outer, text, made.url);
  const UriParts parts = split_uri(text);
  const bool is_rooted = parts.path.starts_with('/');
  if (parts.has_scheme || parts.has_authority || is_rooted) {
    made.directories = directories_above(parts.path);
  } else {
    made.directories = directories_below(base.directories, parts.path);
    made.has_equal_directories = base.has_equal_directories;
  }
  made.has_one_origin = base.has_one_origin || parts.has_scheme || parts.has_authority;
  return made;
}

bool MpdLinks::append_origin(const MpdBase& base, std::string_view origin, std::string& out) {
  // Grants differ by directory, and only some URLs of our own origin are links.
  const std::string_view own = setting_->proxy_origin;
  if (grants_ || (!origin.empty() && own.starts_with(origin))) return false;
  if (origin.empty() && climbs(base, "/")) {
    out += climb(base.directories);
    return true;
  }
  const std::string root = std::string(origin) + "/";
  if (!append(base, {root}, out)) return false;
  out.pop_back();
  return true;
}

bool MpdLinks::stays(const MpdBase& base, std::string_view reference) const {
  if (reference.empty()) return true;
  if (!is_relative_in_place(reference, base.directories)) return false;
  // A grant covers what lies below its directory.
  return !grants_ || (reference.front() != '.' && reference.find("/.") == reference.npos &&
                      !ascii::istarts_with(reference, "%2e") &&
                      reference.find("/%2") == reference.npos && !has_tab_or_line_end(reference));
}

// Whether a rooted reference becomes a relative one. Grants differ by directory.
bool MpdLinks::climbs(const MpdBase& base, std::string_view reference) const {
  if (base.has_one_origin || !base.has_equal_directories || grants_) return false;
  if (!reference.starts_with('/') || reference.starts_with("//")) return false;
  return is_relative_in_place("." + std::string(reference), 0);
}

bool MpdLinks::is_ours(std::string_view reference) const {
  const std::string_view origin = setting_->proxy_origin;
  if (origin.empty() || origin.front() == '/') return false;
  const auto begins = [](std::string_view text, std::string_view route, std::string_view ends) {
    return text.starts_with(route) && text.size() > route.size() &&
           ends.find(text[route.size()]) != ends.npos;
  };
  if (begins(reference, links_.route(), "/")) return true;
  return reference.starts_with(origin) &&
         begins(reference.substr(origin.size()), setting_->route_path, "?/");
}

bool MpdLinks::is_same_origin(std::string_view absolute) {
  if (absolute.starts_with(origin_) && absolute.substr(origin_.size()).starts_with('/'))
    return true;
  return origin_of(absolute) == origin_;
}

// The query form of the link to absolute_, whose userinfo becomes a part of it.
std::string_view MpdLinks::parameters_of_child(const Reference& reference) {
  LinkContext own;
  own.kind = reference.kind;
  own.variables = reference.note;
  const std::string authorization = take_authorization(absolute_);
  if (!authorization.empty()) take_list_header("Authorization", authorization, own);
  const DocumentSetting& setting = *setting_;
  const bool is_same = is_same_origin(absolute_);
  const std::string& inherited =
      has_new_cookies_
          ? (is_same ? setting.same_origin_parameters_with_cookies
                     : setting.other_origin_parameters_with_cookies)
          : (is_same ? setting.same_origin_parameters : setting.other_origin_parameters);
  const bool is_raw = has_token_ || has_query_with_token(absolute_);
  if (!own.has_own_values() && !grants_ && !is_raw) return inherited;
  parameters_.clear();
  if (!own.has_own_values()) {
    parameters_ = inherited;
  } else {
    append_query_form_of_child(inherited, own, parameters_);
  }
  if (is_raw) parameters_ += kRawQuery;
  // The player puts other text in place of the identifiers of a template.
  const std::string_view url = absolute_;
  if (grants_) parameters_ += grants_->parameter_for(url.substr(0, url.find('$')), parameters_);
  return parameters_;
}

bool MpdLinks::append_link(const Reference& reference, std::string& out) {
  const std::string_view parameters = parameters_of_child(reference);
  const std::string_view scope = grants_ ? grants_->scope() : std::string_view();
  const std::string_view carry = links_.carry_of_child(absolute_, parameters, scope);
  const size_t before = out.size();
  out += links_.route();
  if (append_path_link(carry, absolute_, out)) return true;
  normal_.clear();
  const std::string plain = with_plain_dots(absolute_);
  resolve_reference(split_uri(plain), plain, normal_);
  if (append_path_link(carry, normal_, out)) return true;
  out.resize(before);
  return false;
}

}  // namespace streamgate
