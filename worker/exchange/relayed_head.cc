#include "worker/exchange/relayed_head.h"

#include <array>
#include <utility>

#include "common/check.h"
#include "worker/exchange/relayed_type.h"
#include "worker/http/field_rules.h"
#include "worker/http/grammar.h"
#include "worker/http/head_writer.h"

namespace streamgate {
namespace {

// Below 1 KiB: the C library's allocator serves such blocks from the thread's cache.
constexpr size_t kUsualResponseBytes = 1000;

constexpr std::string_view kPlaylistType = "application/vnd.apple.mpegurl";

// The fields that are relayed. No other one is: no hop-by-hop field, no Set-Cookie, no Location.
// Content-Length is written from the framing, Content-Type by write_type.
enum class Relayed : uint8_t {
  content_range,
  content_encoding,
  etag,
  last_modified,
  accept_ranges,
  cache_control,
  expires,
  date,
  content_disposition,
  age,
  retry_after,
  vary,
  pragma,
  none,
};

// A rewritten playlist keeps only the fields that do not describe the upstream's bytes. Validators
// describe them: the rewritten text also depends on our configuration and on the client's link, so
// a 304 could confirm links that no longer work after a reload.
bool describes_bytes(Relayed field) { return field <= Relayed::accept_ranges; }

// The fields of Icecast and SHOUTcast. icy-metaint is the distance of the titles in the audio.
bool is_icecast_field(std::string_view name) {
  return ascii::istarts_with(name, "icy-") || ascii::iequals(name, "ice-audio-info");
}

Relayed relayed_field(std::string_view name) {
  const auto is = [name](std::string_view known) { return ascii::iequals(name, known); };
  switch (name.size()) {
    case 3:
      return is("Age") ? Relayed::age : Relayed::none;
    case 4:
      if (is("Date")) return Relayed::date;
      if (is("ETag")) return Relayed::etag;
      return is("Vary") ? Relayed::vary : Relayed::none;
    case 6:
      return is("Pragma") ? Relayed::pragma : Relayed::none;
    case 7:
      return is("Expires") ? Relayed::expires : Relayed::none;
    case 11:
      return is("Retry-After") ? Relayed::retry_after : Relayed::none;
    case 13:
      if (is("Last-Modified")) return Relayed::last_modified;
      if (is("Cache-Control")) return Relayed::cache_control;
      if (is("Accept-Ranges")) return Relayed::accept_ranges;
      return is("Content-Range") ? Relayed::content_range : Relayed::none;
    case 16:
      return is("Content-Encoding") ? Relayed::content_encoding : Relayed::none;
    case 19:
      return is("Content-Disposition") ? Relayed::content_disposition : Relayed::none;
    default:
      return Relayed::none;
  }
}

void write_type(const RelayedResponse& response, HeadWriter& head) {
  if (response.is_rewritten) {
    const std::string_view type = response.document_type;
    return head.field("Content-Type", type.empty() ? kPlaylistType : type);
  }
  const RelayedType type = type_for_client(response);
  if (type.value.empty()) return;
  if (type.parameters.empty()) return head.field("Content-Type", type.value);
  head.field("Content-Type", std::string(type.value) + std::string(type.parameters));
}

// Vary of a document that may leave compressed: the upstream's names, and ours.
void write_merged_vary(const HeaderFields& fields, HeadWriter& head) {
  constexpr std::string_view kOurs = "Accept-Encoding";
  std::string names;
  bool has_ours = false;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Vary")) continue;
    http::for_each_element(field.value, [&](std::string_view name) {
      has_ours = has_ours || name == "*" || ascii::iequals(name, kOurs);
      names.append(names.empty() ? "" : ", ").append(name);
    });
  }
  if (!has_ours) names.append(names.empty() ? "" : ", ").append(kOurs);
  head.field("Vary", names);
}

void write_relayed_fields(const RelayedResponse& response, HeadWriter& head) {
  std::array<bool, static_cast<size_t>(Relayed::none) + 1> seen{};
  const auto was_seen = [&seen](Relayed field) -> bool& {
    return seen[static_cast<size_t>(field)];
  };
  const HeaderFields& fields = response.upstream.fields;
  const bool may_be_named = connection_names_fields(fields);
  if (response.is_rewritten || !may_be_named || !is_for_this_hop(fields, "Content-Type")) {
    write_type(response, head);
  }
  for (const auto& [name, value] : fields) {
    const Relayed field = relayed_field(name);
    const bool is_known = field != Relayed::none;
    if (!is_known && !is_icecast_field(name)) continue;
    if (response.is_rewritten && (!is_known || describes_bytes(field))) continue;
    if (may_be_named && is_for_this_hop(fields, name)) continue;
    if (is_known) {
      if (field == Relayed::content_range && response.is_whole_part) continue;
      if (was_seen(field) && !may_repeat(name)) continue;
      was_seen(field) = true;
      if (field == Relayed::vary && response.varies_by_coding) continue;
    }
    head.field(name, value);
  }
  // RFC 9110 6.6.1: a recipient with a clock adds it.
  if (!was_seen(Relayed::date)) head.field("Date", http_date());
  // Nothing else is added: only the upstream knows how long its bytes stay the same.
  const bool has_caching =
      was_seen(Relayed::cache_control) || was_seen(Relayed::expires) || was_seen(Relayed::pragma);
  if (response.is_rewritten && !has_caching) head.raw_lines("Cache-Control: no-cache\r\n");
  // `public` would let a cache in front of us give this answer to a client without a proof
  // (RFC 9111 3.5).
  if (response.is_private) head.raw_lines("Cache-Control: private\r\n");
  const bool has_vary = was_seen(Relayed::vary);
  if (response.varies_by_coding && has_vary) write_merged_vary(fields, head);
  if (response.varies_by_coding && !has_vary) head.raw_lines("Vary: Accept-Encoding\r\n");
  if (response.coding == ContentCoding::gzip) head.raw_lines("Content-Encoding: gzip\r\n");
}

// Without a sandbox the scripts of a relayed document would run in our origin. The browser's own
// pages for an image or a video need what is allowed here.
constexpr std::string_view kSandbox =
    "Content-Security-Policy: sandbox; default-src 'none'; img-src 'self'; media-src 'self'; "
    "style-src 'unsafe-inline'\r\n";

// RFC 9112 6.3. An answer to HEAD and a 304 have the Content-Length of the body that is not sent.
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
      if (status == 204 || response.is_rewritten || !response.upstream.declared_length) return;
      return head.number("Content-Length", *response.upstream.declared_length);
  }
}

}  // namespace

int status_for_client(const RelayedResponse& response) {
  const bool is_whole = response.is_rewritten || response.is_whole_part;
  return is_whole && response.upstream.status == 206 ? 200 : response.upstream.status;
}

std::string write_relayed_head(const RelayedResponse& response, const CorsConfig& cors) {
  const int status = status_for_client(response);
  HeadWriter head(kUsualResponseBytes);
  head.status_line(status);
  write_relayed_fields(response, head);
  write_framing(response, status, head);
  head.raw_lines("X-Content-Type-Options: nosniff\r\n");
  if (!response.cache_outcome.empty()) head.field("X-Streamgate-Cache", response.cache_outcome);
  if (!response.is_rewritten || !response.document_type.empty()) head.raw_lines(kSandbox);
  // Tells the upstream's own errors from ours, which have X-Streamgate-Error.
  if (status >= 400) head.number("X-Streamgate-Upstream-Status", static_cast<uint64_t>(status));
  head.cors(response.client_fields != nullptr ? cors_for(cors, *response.client_fields) : cors);
  const bool ends_by_close = response.framing.kind == ClientFraming::Kind::until_close;
  head.connection(response.keep_alive && !ends_by_close, response.client_minor_version);
  return std::move(head).finish();
}

}  // namespace streamgate
