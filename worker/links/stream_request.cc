#include "worker/links/stream_request.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "common/percent_table.h"
#include "worker/links/cmcd.h"
#include "worker/links/header_suffix.h"
#include "worker/links/path_link.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

constexpr std::array<std::string_view, 2> kStreamPaths = {"/stream", "/api/proxy/stream"};
constexpr size_t kMaxAlternatives = 3;

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

std::string_view query_of(std::string_view target) {
  return target.substr(std::min(path_of(target).size() + 1, target.size()));
}

// `/stream` or `/api/proxy/stream` if `path` is that path, alone or followed by one more segment;
// else empty.
std::string_view stream_path_of(std::string_view path) {
  for (const std::string_view stream_path : kStreamPaths) {
    if (!path.starts_with(stream_path)) continue;
    const std::string_view rest = path.substr(stream_path.size());
    if (rest.empty()) return stream_path;
    if (rest.front() == '/' && rest.find('/', 1) == std::string_view::npos) return stream_path;
  }
  return {};
}

// One `name=value` of a query, as sent.
struct Parameter {
  std::string_view raw;
  std::string_view raw_name;
  std::string_view raw_value;
};

Parameter parameter_of(std::string_view raw) {
  const size_t equals = raw.find('=');
  if (equals == std::string_view::npos) return {raw, raw, {}};
  return {raw, raw.substr(0, equals), raw.substr(equals + 1)};
}

// Calls `visit(parameter)` for each part between two `&` that is not empty.
template <class Visit>
void for_each_parameter(std::string_view query, Visit visit) {
  while (!query.empty()) {
    const size_t ampersand = query.find('&');
    const std::string_view raw = query.substr(0, ampersand);
    if (!raw.empty()) visit(parameter_of(raw));
    if (ampersand == std::string_view::npos) return;
    query.remove_prefix(ampersand + 1);
  }
}

void append_parameter(std::string& path_and_query, std::string_view raw) {
  if (path_and_query.find('?') == std::string::npos) {
    path_and_query += '?';
  } else if (path_and_query.back() != '?' && path_and_query.back() != '&') {
    path_and_query += '&';
  }
  path_and_query += raw;
}

// `raw` replaces the first parameter called `name`; further ones of that name are removed. If there
// is none, `raw` is appended. All other bytes of the query stay as they are.
void replace_parameter(std::string& path_and_query, std::string_view name, std::string_view raw) {
  const size_t question = path_and_query.find('?');
  if (question == std::string::npos) return append_parameter(path_and_query, raw);
  std::string_view rest = std::string_view(path_and_query).substr(question + 1);
  std::string out = path_and_query.substr(0, question);
  char separator = '?';
  bool placed = false;
  while (true) {
    const size_t ampersand = rest.find('&');
    const std::string_view part = rest.substr(0, ampersand);
    const bool same = percent_decode(parameter_of(part).raw_name) == name;
    if (!same || !placed) {
      out += separator;
      out += same ? raw : part;
      separator = '&';
    }
    placed = placed || same;
    if (ampersand == std::string_view::npos) break;
    rest.remove_prefix(ampersand + 1);
  }
  path_and_query = std::move(out);
  if (!placed) append_parameter(path_and_query, raw);
}

Error bad_url(const char* rule) { return Error::for_client(Reason::bad_url, rule); }

// Parameters from which the upstream's URL is made after the whole query has been read.
struct Found {
  std::optional<std::string> url;
  std::vector<std::pair<std::string, std::string_view>> foreign;  // decoded name, raw parameter
  LinkContext of_url;  // the headers after the url's `|`, and the Authorization of its userinfo
  bool has_suffix = false;  // of_url has headers of the `|`
  std::optional<HttpUrl> before_bar = std::nullopt;
};

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

// Removes blanks and line ends at both ends, which come from copying and pasting.
void trim(std::string& url) {
  while (!url.empty() && is_blank(url.back())) url.pop_back();
  const auto first = std::find_if_not(url.begin(), url.end(), is_blank);
  if (first != url.begin()) url.erase(url.begin(), first);
}

Result<void> take_url(const Parameter& parameter, Found& found) {
  if (found.url) return bad_url("repeated");
  found.url = percent_decode(parameter.raw_value);
  trim(*found.url);
  if (found.url->empty()) return bad_url("empty");
  return {};
}

// The fragment of a pasted URL is never sent (RFC 9110 7.1).
std::string_view without_fragment(std::string_view url) { return url.substr(0, url.find('#')); }

// Parses the url. Nearly all URLs need no correction.
Result<HttpUrl> parse_url(Found& found) {
  const std::string_view text = *found.url;
  const unsigned classes = byte_classes_of(text);
  if ((classes & kIllegalByte) == 0) {
    auto url = parse_http_url(without_fragment(text), classes);
    if (url) return url;
  }
  const std::string_view plain = cut_header_suffix(text, found.of_url);
  auto url = parse_upstream_url(without_fragment(plain));
  if (!url) return std::move(url).error();
  if (const std::string_view shorter = before_bar(plain); !shorter.empty()) {
    if (auto parsed = parse_upstream_url(shorter)) found.before_bar = std::move(parsed->url);
  }
  found.has_suffix = has_headers(found.of_url);
  LinkContext userinfo;
  if (!url->authorization.empty()) take_list_header("Authorization", url->authorization, userinfo);
  merge_weaker(userinfo, found.of_url);
  return std::move(url->url);
}

Result<void> take_alternative(const Parameter& parameter, StreamRequest& request) {
  if (request.alternatives.size() == kMaxAlternatives) return bad_url("more than three sg_alt");
  const std::string text = percent_decode(parameter.raw_value);
  auto url = parse_upstream_url(without_fragment(text));
  if (!url) return std::move(url).error();
  request.alternatives.push_back(*std::move(url));
  return {};
}

// Two of them could mean that two readers of the link see different ones.
Result<void> take_proof(const Parameter& parameter, std::string& proof) {
  if (!proof.empty()) {
    return Error::for_client(Reason::bad_request, "repeated " + std::string(parameter.raw_name));
  }
  proof = percent_decode(parameter.raw_value);
  return {};
}

// A directive as the upstream gets it. Some players encode its `_`. All other bytes that the name
// had encoded stay so: the decoded name may have line ends.
std::string directive(std::string_view name, std::string_view raw) {
  if (raw.starts_with("_HLS_")) return std::string(raw);
  std::string parameter;
  percent_encode(name, parameter);
  return parameter.append("=").append(parameter_of(raw).raw_value);
}

// A parameter of the client's query that is not ours.
void add_foreign(std::string_view name, std::string_view raw, HttpUrl& upstream) {
  if (name.starts_with("_HLS_")) {
    replace_parameter(upstream.path_and_query, name, directive(name, raw));
  } else {
    append_parameter(upstream.path_and_query, raw);
  }
}

// Names are compared after decoding: a client library may have encoded any byte of them.
Result<void> take_parameter(const Parameter& parameter, StreamRequest& request, Found& found) {
  std::string name = percent_decode(parameter.raw_name);
  if (name == "url") return take_url(parameter, found);
  if (is_link_parameter(name)) return take_link_parameter(name, parameter.raw_value, request.link);
  if (name == "sg_alt") return take_alternative(parameter, request);
  if (name == "sg_live") request.is_live = parameter.raw_value == "1";
  if (name == "sg_token") return take_proof(parameter, request.token);
  if (name == "sg_grant") return take_proof(parameter, request.grant);
  if (name.starts_with("sg_")) return {};
  const bool may_be_of_suffix = found.url && is_header_of_suffix(name);
  if (may_be_of_suffix && found.url->find('|') != std::string::npos) {
    take_header_pairs(parameter.raw, found.of_url);
    return {};
  }
  if (name == "_HLS_msn") request.is_blocking = true;
  found.foreign.emplace_back(std::move(name), parameter.raw);
  return {};
}

// CMCD as a query parameter. Empty if nothing of it is for the upstream.
std::string cmcd_parameter(std::string_view raw_value, std::string_view target,
                           const HttpUrl& upstream) {
  const std::string list = percent_decode(raw_value);
  std::string raw = "CMCD=";
  if (!names_next_object(list)) return raw.append(raw_value);
  const std::string for_upstream = cmcd_for_upstream(list, target, upstream);
  if (for_upstream.empty()) return {};
  percent_encode(for_upstream, raw);
  return raw;
}

// Reads the query form.
Result<void> read_query(std::string_view target, StreamRequest& request) {
  Found found;
  Result<void> taken;
  for_each_parameter(query_of(target), [&](const Parameter& parameter) {
    if (taken) taken = take_parameter(parameter, request, found);
  });
  if (!taken) return taken;
  if (!found.url) return bad_url("missing");

  auto upstream = parse_url(found);
  if (!upstream) return std::move(upstream).error();
  request.upstream = std::move(*upstream);
  request.before_bar = std::move(found.before_bar);
  request.has_headers = found.has_suffix || has_headers(request.link);
  merge_weaker(found.of_url, request.link);
  for (auto& [name, raw] : found.foreign) {
    std::string cmcd;  // `raw` is a view of it
    if (name == "CMCD") {
      cmcd = cmcd_parameter(parameter_of(raw).raw_value, target, request.upstream);
      raw = cmcd;
    }
    if (raw.empty()) continue;
    add_foreign(name, raw, request.upstream);
    for (UpstreamUrl& other : request.alternatives) add_foreign(name, raw, other.url);
    if (request.before_bar) add_foreign(name, raw, *request.before_bar);
  }
  return {};
}

}  // namespace

Route route_of(std::string_view target) {
  const std::string_view path = path_of(target);
  if (path == "/health") return Route::health;
  if (path == "/ready") return Route::ready;
  if (has_query_form(path)) return Route::stream;
  return path_link_route_of(target).empty() ? Route::none : Route::stream;
}

bool has_query_form(std::string_view target) { return !stream_path_of(path_of(target)).empty(); }

Result<HttpUrl> upstream_of_link(std::string_view target) {
  if (!has_query_form(target)) {
    auto request = parse_path_link(target);
    if (!request) return std::move(request).error();
    return std::move(request->upstream);
  }
  Found found;
  Result<void> taken;
  for_each_parameter(query_of(target), [&](const Parameter& parameter) {
    const bool is_url = percent_decode(parameter.raw_name) == "url";
    if (taken && is_url) taken = take_url(parameter, found);
  });
  if (!taken) return std::move(taken).error();
  if (!found.url) return bad_url("missing");
  return parse_url(found);
}

Result<void> parse_stream_request(std::string_view target, StreamRequest& request) {
  const std::string_view route = stream_path_of(path_of(target));
  if (route.empty()) return parse_path_link(target, request);
  request.route_path = route;
  return read_query(target, request);
}

Result<StreamRequest> parse_stream_request(std::string_view target) {
  Result<StreamRequest> request(std::in_place);
  auto parsed = parse_stream_request(target, *request);
  if (!parsed) request = std::move(parsed).error();
  return request;
}

}  // namespace streamgate
