#include "worker/links/stream_request.h"

#include <algorithm>
#include <array>

#include "common/ascii.h"
#include "worker/http/field_rules.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr std::array<std::string_view, 2> kStreamPaths = {"/stream", "/api/proxy/stream"};
constexpr size_t kMostUrlBytes = size_t{8} * 1024;
constexpr size_t kMostHeaders = 32;
constexpr size_t kMostDocumentKindBytes = 32;

// h_ names that would change what the proxy itself decides: routing, framing, the connection, and
// the conditions and ranges it takes from the client (RFC 9110 7.6.1).
constexpr std::array<std::string_view, 12> kRefusedHeaders = {
    "Host",    "Content-Length", "Transfer-Encoding", "TE",
    "Trailer", "Connection",     "Upgrade",           "Keep-Alive",
    "Expect",  "Range",          "Accept-Encoding",   "HTTP2-Settings"};

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

// The one of our stream paths that `path` is, or that it is with one more segment; else empty.
std::string_view stream_path_of(std::string_view path) {
  for (const std::string_view ours : kStreamPaths) {
    if (!path.starts_with(ours)) continue;
    const std::string_view rest = path.substr(ours.size());
    if (rest.empty()) return ours;
    if (rest.front() == '/' && rest.find('/', 1) == std::string_view::npos) return ours;
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

// Puts `parameter` in the place of the first of that name, drops the others, or appends it. The
// other bytes of the query stay as they are.
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

bool is_refused_header(std::string_view name) {
  if (ascii::istarts_with(name, "Proxy-") || ascii::istarts_with(name, "If-")) return true;
  return std::any_of(kRefusedHeaders.begin(), kRefusedHeaders.end(),
                     [&](std::string_view refused) { return ascii::iequals(refused, name); });
}

Error bad_request(std::string_view detail) {
  return Error{Reason::bad_request, std::string(detail)};
}
Error bad_url(const char* rule) { return Error::for_client(Reason::bad_url, rule); }

// What was found in the query, before the upstream's URL is put together.
struct Found {
  std::optional<std::string> url;
  std::vector<std::pair<std::string, std::string_view>> foreign;  // decoded name, raw parameter
};

Result<void> take_url(const Parameter& parameter, Found& found) {
  if (found.url) return bad_url("repeated");
  found.url = percent_decode(parameter.raw_value);
  if (found.url->empty()) return bad_url("empty");
  if (found.url->size() > kMostUrlBytes) return bad_url("too long");
  return {};
}

// A referer is sent without its fragment (RFC 9110 10.1.3); an empty one is none.
Result<void> take_referer(const Parameter& parameter, StreamRequest& request) {
  std::string referer = percent_decode(parameter.raw_value);
  referer.resize(std::min(referer.find('#'), referer.size()));
  if (referer.empty()) return {};
  if (request.referer) return bad_request("repeated referer");
  if (!http::all_are(http::kTargetByte, referer) || !parse_http_url(referer)) {
    return bad_request("referer");
  }
  request.referer = std::move(referer);
  return {};
}

// Only here a `+` is a blank and not itself: players that put the whole query through a form
// encoder (URLSearchParams) write one for the blank of an h_User-Agent. A url or referer holds no
// blanks.
Result<void> take_header(std::string_view name, const Parameter& parameter,
                         StreamRequest& request) {
  std::string encoded(parameter.raw_value);
  std::replace(encoded.begin(), encoded.end(), '+', ' ');
  const std::string decoded = percent_decode(encoded);
  const std::string_view value = ascii::trim(decoded);
  if (!http::is_token(name) || is_refused_header(name)) return bad_request("h_ name");
  if (!http::all_are(http::kFieldByte, value)) return bad_request("h_ value");
  if (request.headers.size() == kMostHeaders) return bad_request("too many h_ headers");
  request.headers.emplace_back(name, value);
  return {};
}

void take_document_kind(const Parameter& parameter, StreamRequest& request) {
  std::string kind = percent_decode(parameter.raw_value);
  if (http::is_token(kind) && kind.size() <= kMostDocumentKindBytes && !request.document_kind) {
    request.document_kind = std::move(kind);
  }
}

// Names are compared after decoding: a client library may have encoded any byte of them.
Result<void> take_parameter(const Parameter& parameter, StreamRequest& request, Found& found) {
  std::string name = percent_decode(parameter.raw_name);
  if (name == "url") return take_url(parameter, found);
  if (name == "referer") return take_referer(parameter, request);
  if (name.starts_with("h_")) {
    return take_header(std::string_view(name).substr(2), parameter, request);
  }
  if (name.starts_with("sg_")) {
    if (name == "sg_k") take_document_kind(parameter, request);
    return {};
  }
  found.foreign.emplace_back(std::move(name), parameter.raw);
  return {};
}

void append_encoded(std::string& out, std::string_view prefix, std::string_view name,
                    std::string_view value) {
  out += '&';
  out += prefix;
  percent_encode(name, out);
  out += '=';
  percent_encode(value, out);
}

void write_child_parameters(StreamRequest& request) {
  if (request.referer) {
    append_encoded(request.child_parameters, "", "referer", *request.referer);
    request.cross_origin_child_parameters = request.child_parameters;
  }
  for (const auto& [name, value] : request.headers) {
    append_encoded(request.child_parameters, "h_", name, value);
    if (is_secret_header(name)) continue;
    append_encoded(request.cross_origin_child_parameters, "h_", name, value);
  }
}

}  // namespace

Route route_of(std::string_view target) {
  const std::string_view path = path_of(target);
  if (path == "/health") return Route::health;
  return stream_path_of(path).empty() ? Route::none : Route::stream;
}

Result<StreamRequest> parse_stream_request(std::string_view target) {
  StreamRequest request;
  const std::string_view path = path_of(target);
  request.route_path = stream_path_of(path);
  Found found;
  Result<void> taken;
  for_each_parameter(target.substr(std::min(path.size() + 1, target.size())),
                     [&](const Parameter& parameter) {
                       if (taken) taken = take_parameter(parameter, request, found);
                     });
  if (!taken) return std::move(taken).error();
  if (!found.url) return bad_url("missing");

  // The fragment of a pasted URL is never sent (RFC 9110 7.1).
  auto upstream = parse_http_url(std::string_view(*found.url).substr(0, found.url->find('#')));
  if (!upstream) return std::move(upstream).error();
  request.upstream = std::move(*upstream);
  for (const auto& [name, raw] : found.foreign) {
    if (name.starts_with("_HLS_")) {
      replace_parameter(request.upstream.path_and_query, name, raw);
    } else {
      append_parameter(request.upstream.path_and_query, raw);
    }
  }
  write_child_parameters(request);
  return request;
}

}  // namespace streamgate
