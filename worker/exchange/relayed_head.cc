#include "worker/exchange/relayed_head.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/check.h"
#include "worker/http/field_rules.h"
#include "worker/http/head_writer.h"

namespace streamgate {
namespace {

// Below 1 KiB: the C library's allocator serves such blocks from the thread's cache.
constexpr size_t kUsualResponseBytes = 960;

constexpr std::string_view kPlaylistType = "application/vnd.apple.mpegurl";
constexpr std::string_view kSegmentCaching = "public, max-age=86400, immutable";
constexpr std::array<std::string_view, 6> kSegmentExtensions = {".ts",  ".m4s", ".mp4",
                                                                ".m4a", ".aac", ".vtt"};

// A rewritten playlist keeps only the fields that do not describe the upstream's bytes.
struct RelayedField {
  std::string_view name;
  bool describes_bytes;
};

// No other field is relayed: no hop-by-hop field, no Set-Cookie, no Location. Content-Length is
// written from the framing.
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

// The index in kRelayedFields, or its size if the field is not relayed.
size_t relayed_field(std::string_view name) {
  for (size_t i = 0; i < kRelayedFields.size(); ++i) {
    if (ascii::iequals(kRelayedFields[i].name, name)) return i;
  }
  return kRelayedFields.size();
}

void write_relayed_fields(const RelayedResponse& response, HeadWriter& head) {
  std::array<bool, kRelayedFields.size()> seen{};
  const HeaderFields& fields = response.upstream.fields;
  const bool may_be_named = connection_names_fields(fields);
  for (const auto& [name, value] : fields) {
    const size_t index = relayed_field(name);
    if (index == kRelayedFields.size()) continue;
    if (response.is_playlist && kRelayedFields[index].describes_bytes) continue;
    if (may_be_named && is_for_this_hop(fields, name)) continue;
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

// Only if the upstream sent no caching field. The upstream's Expires counts for a segment, but not
// for a playlist: it was set for the text before rewriting.
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

// Without a sandbox the scripts of a relayed document would run in our origin.
void write_sandbox(const RelayedResponse& response, HeadWriter& head) {
  const auto type = find_field(response.upstream.fields, "Content-Type");
  if (!type || response.is_playlist) return;
  const std::string_view essence = ascii::trim(type->substr(0, type->find(';')));
  if (ascii::iequals(essence, "text/html") || ascii::iends_with(essence, "xml")) {
    head.field("Content-Security-Policy", "sandbox");
  }
}

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
      if (status == 204 || response.is_playlist || !response.upstream.declared_length) return;
      return head.number("Content-Length", *response.upstream.declared_length);
  }
}

}  // namespace

std::string write_relayed_head(const RelayedResponse& response, const CorsConfig& cors) {
  // A 206 that held the whole playlist is sent as a 200.
  const bool was_partial = response.is_playlist && response.upstream.status == 206;
  const int status = was_partial ? 200 : response.upstream.status;
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

}  // namespace streamgate
