#include "worker/forwarding.h"

#include <algorithm>
#include <array>

#include "common/check.h"
#include "worker/http_grammar.h"

namespace streamgate {
namespace {

// Below 1 KiB, where the C library's allocator hands blocks out fastest.
constexpr size_t kUsualRequestBytes = 960;
constexpr size_t kUsualResponseBytes = 960;

// What a current Chrome on Windows sends; many upstreams answer nothing else.
constexpr std::string_view kBrowserUserAgent =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36";

constexpr std::string_view kPlaylistType = "application/vnd.apple.mpegurl";
constexpr std::string_view kSegmentCaching = "public, max-age=86400, immutable";
constexpr std::array<std::string_view, 6> kSegmentExtensions = {".ts",  ".m4s", ".mp4",
                                                                ".m4a", ".aac", ".vtt"};

constexpr std::array<std::string_view, 4> kListFields = {"Accept", "Accept-Language",
                                                         "If-None-Match", "Cache-Control"};

// Whether the sender took that field for this hop only, by naming it in Connection (RFC
// 9110 7.6.1).
bool is_for_this_hop(const HeaderFields& fields, std::string_view name) {
  bool named = false;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Connection")) continue;
    http::for_each_element(field.value, [&](std::string_view option) {
      named = named || ascii::iequals(option, name);
    });
  }
  return named;
}

// Only a list may be repeated (RFC 9110 5.3); of any other field the first one counts.
bool may_repeat(std::string_view name) {
  return std::any_of(kListFields.begin(), kListFields.end(),
                     [&](std::string_view list) { return ascii::iequals(list, name); });
}

// --- towards the upstream ---

// The parts of one upstream request; lives as long as write_upstream_request() runs.
class UpstreamRequestWriter {
 public:
  UpstreamRequestWriter(const UpstreamAttempt& attempt, const StreamRequest& request,
                        const RequestHead& client, const UpstreamConfig& config)
      : attempt_(attempt), request_(request), client_(client), config_(config) {}

  std::string write() {
    head_.request_line(attempt_.method == Method::head ? "HEAD" : "GET",
                       attempt_.url.path_and_query);
    head_.field("Host", attempt_.url.authority());
    write_user_agent();
    if (!write_from_client("Accept")) write_ours("Accept", "*/*");
    write_from_client("Accept-Language");
    write_ours("Accept-Encoding", "identity");
    write_range_and_conditions();
    if (attempt_.send_referer_and_origin) write_referer_and_origin();
    for (const auto& [name, value] : request_.headers) {
      if (is_sent(name)) head_.field(name, value);
    }
    return std::move(head_).finish();
  }

 private:
  bool is_sent(std::string_view name) const {
    return !attempt_.cross_origin || !is_secret_header(name);
  }

  bool is_overridden(std::string_view name) const {
    return std::any_of(request_.headers.begin(), request_.headers.end(),
                       [&](const auto& header) { return ascii::iequals(header.first, name); });
  }

  void write_ours(std::string_view name, std::string_view value) {
    if (!value.empty() && !is_overridden(name)) head_.field(name, value);
  }

  // False if the client sent none.
  bool write_from_client(std::string_view name) {
    bool found = false;
    for (const HeaderField& field : client_.fields) {
      if (!ascii::iequals(field.name, name) || (found && !may_repeat(name))) continue;
      if (is_for_this_hop(client_.fields, name)) return false;
      write_ours(name, field.value);
      found = true;
    }
    return found;
  }

  void write_range_and_conditions() {
    if (!attempt_.rest_range.empty()) {
      head_.field("Range", attempt_.rest_range);
      return head_.field("If-Range", attempt_.rest_validator);
    }
    if (attempt_.send_range && write_from_client("Range")) write_from_client("If-Range");
    write_from_client("If-None-Match");
    write_from_client("If-Modified-Since");
  }

  void write_user_agent() {
    switch (config_.user_agent.kind) {
      case HeaderPolicy::Kind::browser:
      case HeaderPolicy::Kind::target:
        return write_ours("User-Agent", kBrowserUserAgent);
      case HeaderPolicy::Kind::client:
        write_from_client("User-Agent");
        return;
      case HeaderPolicy::Kind::literal:
        return write_ours("User-Agent", config_.user_agent.text);
      case HeaderPolicy::Kind::none:
        return;
    }
  }

  // The referer the player's URL asks for wins over the configuration, and the origin follows it;
  // only an origin that is configured away stays away.
  void write_referer_and_origin() {
    if (!request_.referer) {
      const std::string page = attempt_.url.origin() + "/";
      write_by_policy("Referer", config_.referer, page);
      write_by_policy("Origin", config_.origin, std::string_view(page).substr(0, page.size() - 1));
      return;
    }
    write_ours("Referer", *request_.referer);
    if (config_.origin.kind == HeaderPolicy::Kind::none) return;
    if (const auto page = parse_http_url(*request_.referer)) write_ours("Origin", page->origin());
  }

  void write_by_policy(std::string_view name, const HeaderPolicy& policy,
                       std::string_view of_target) {
    switch (policy.kind) {
      case HeaderPolicy::Kind::target:
        return write_ours(name, of_target);
      case HeaderPolicy::Kind::client:
        write_from_client(name);
        return;
      case HeaderPolicy::Kind::literal:
        return write_ours(name, policy.text);
      case HeaderPolicy::Kind::browser:
      case HeaderPolicy::Kind::none:
        return;
    }
  }

  const UpstreamAttempt& attempt_;
  const StreamRequest& request_;
  const RequestHead& client_;
  const UpstreamConfig& config_;
  HeadWriter head_{kUsualRequestBytes};
};

// --- towards the client ---

// What a field is about decides whether a rewritten playlist may still carry it.
struct RelayedField {
  std::string_view name;
  bool about_the_bytes;  // false of other bytes than the upstream's
};

// Everything else stays behind: hop-by-hop fields, Set-Cookie, Location, and what nobody asked for.
// Content-Length is written from the framing.
constexpr std::array<RelayedField, 12> kRelayedFields = {{
    {"Content-Type", true},
    {"Content-Range", true},
    {"Content-Encoding", true},
    {"ETag", true},
    {"Last-Modified", true},
    {"Accept-Ranges", true},
    {"Cache-Control", false},
    {"Expires", false},
    {"Date", false},
    {"Content-Disposition", false},
    {"Age", false},
    {"Retry-After", false},
}};

// The index in kRelayedFields, or its size.
size_t relayed_field(std::string_view name) {
  for (size_t i = 0; i < kRelayedFields.size(); ++i) {
    if (ascii::iequals(kRelayedFields[i].name, name)) return i;
  }
  return kRelayedFields.size();
}

void write_relayed_fields(const RelayedResponse& response, HeadWriter& head) {
  std::array<bool, kRelayedFields.size()> seen{};
  const HeaderFields& fields = response.upstream.fields;
  const bool connection_names_fields = find_field(fields, "Connection").has_value();
  for (const auto& [name, value] : fields) {
    const size_t index = relayed_field(name);
    if (index == kRelayedFields.size()) continue;
    if (response.is_playlist && kRelayedFields[index].about_the_bytes) continue;
    if (connection_names_fields && is_for_this_hop(fields, name)) continue;
    if (seen[index] && !may_repeat(name)) continue;
    seen[index] = true;
    head.field(name, value);
  }
}

bool is_segment(std::string_view path) {
  return std::any_of(
      kSegmentExtensions.begin(), kSegmentExtensions.end(),
      [&](std::string_view extension) { return ascii::iends_with(path, extension); });
}

// Only where the upstream left it open; its Expires is a decision too, except for playlists, which
// are never what it was made for.
void write_default_caching(const RelayedResponse& response, int status, HeadWriter& head) {
  const HeaderFields& fields = response.upstream.fields;
  if (status != 200 && status != 206) return;
  if (find_field(fields, "Cache-Control")) return;
  if (response.is_playlist) {
    head.field("Cache-Control", "no-cache");
  } else if (is_segment(response.upstream_path) && !find_field(fields, "Expires")) {
    head.field("Cache-Control", kSegmentCaching);
  }
}

// A document from anywhere would otherwise run its scripts as ours.
void write_sandbox(const RelayedResponse& response, HeadWriter& head) {
  const auto type = find_field(response.upstream.fields, "Content-Type");
  if (!type || response.is_playlist) return;
  const std::string_view essence = ascii::trim(type->substr(0, type->find(';')));
  if (ascii::iequals(essence, "text/html") || ascii::iends_with(essence, "xml")) {
    head.field("Content-Security-Policy", "sandbox");
  }
}

// RFC 9112 6.3. Without a body, a HEAD or a 304 still tells the length of what was not sent.
void write_framing(const RelayedResponse& response, int status, HeadWriter& head) {
  switch (response.framing.kind) {
    case ClientFraming::Kind::length:
      return head.number("Content-Length", response.framing.length);
    case ClientFraming::Kind::chunked:
      CHECK(response.client_minor_version >= 1);  // a 1.0 client cannot read it
      return head.raw_lines("Transfer-Encoding: chunked\r\n");
    case ClientFraming::Kind::until_close:
      return;
    case ClientFraming::Kind::none:
      if (status == 204 || response.is_playlist || !response.upstream.declared_length) return;
      return head.number("Content-Length", *response.upstream.declared_length);
  }
}

// --- our own address ---

constexpr size_t kMostPrefixBytes = 256;

// Stricter than RFC 3986: what is written into playlists must need no quoting anywhere.
bool is_plain_host(std::string_view text) {
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) ||
           std::string_view("-._~:[]").find(c) != std::string_view::npos;
  });
  return safe && http::is_host_and_port(text);
}

// The first element of a list that each proxy on the way has added to, or that one has replaced.
std::string_view first_element(const HeaderFields& fields, std::string_view name) {
  const std::string_view list = field_or_empty(fields, name);
  return ascii::trim(list.substr(0, list.find(',')));
}

// Without slashes at its end; empty if it is not a plain path. `//` would begin an authority.
std::string_view plain_prefix(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) ||
           std::string_view("-._~/").find(c) != std::string_view::npos;
  });
  const bool plain = safe && text.starts_with('/') && text.size() <= kMostPrefixBytes &&
                     text.find("//") == std::string_view::npos;
  return plain ? text : std::string_view();
}

}  // namespace

std::string write_upstream_request(const UpstreamAttempt& attempt, const StreamRequest& request,
                                   const RequestHead& client, const UpstreamConfig& config) {
  return UpstreamRequestWriter(attempt, request, client, config).write();
}

std::string write_relayed_head(const RelayedResponse& response, const CorsConfig& cors) {
  // A playlist that was complete as a range is sent as the whole that it is.
  const bool whole_again = response.is_playlist && response.upstream.status == 206;
  const int status = whole_again ? 200 : response.upstream.status;
  HeadWriter head(kUsualResponseBytes);
  head.status_line(status);
  if (response.is_playlist) head.field("Content-Type", kPlaylistType);
  write_relayed_fields(response, head);
  write_default_caching(response, status, head);
  write_framing(response, status, head);
  head.raw_lines("X-Content-Type-Options: nosniff\r\n");
  write_sandbox(response, head);
  head.cors(cors);
  const bool ends_by_close = response.framing.kind == ClientFraming::Kind::until_close;
  head.connection(response.keep_alive && !ends_by_close, response.client_minor_version);
  return std::move(head).finish();
}

std::string public_origin(const RequestHead& client, std::string_view scheme, bool peer_is_trusted,
                          std::string_view public_url) {
  if (!public_url.empty()) return std::string(public_url);
  std::string_view host = field_or_empty(client.fields, "Host");
  std::string_view prefix;
  if (peer_is_trusted) {
    const std::string_view forwarded_host = first_element(client.fields, "X-Forwarded-Host");
    if (is_plain_host(forwarded_host)) host = forwarded_host;
    const std::string_view forwarded_scheme = first_element(client.fields, "X-Forwarded-Proto");
    if (ascii::iequals(forwarded_scheme, "https")) scheme = "https";
    if (ascii::iequals(forwarded_scheme, "http")) scheme = "http";
    prefix = plain_prefix(first_element(client.fields, "X-Forwarded-Prefix"));
  }
  std::string origin;
  if (is_plain_host(host)) {
    origin += scheme;
    origin += "://";
    origin += host;
  }
  origin += prefix;
  return origin;
}

}  // namespace streamgate
