#include <nlohmann/json.hpp>
#include <string>

#include "worker/explain/report_text.h"

namespace streamgate {
namespace {

using Json = nlohmann::ordered_json;

void add_time(Json& out, const char* key, const StepTime& time) {
  // Microseconds are as exact as the clock.
  if (time) out[key] = static_cast<double>(static_cast<int64_t>(*time * 1000)) / 1000;
}

Json json_of(const TlsFacts& facts) {
  Json out{{"version", facts.version},
           {"suite", facts.suite},
           {"verification", facts.verdict},
           {"required", facts.is_verified}};
  if (!facts.has_certificate) return out;
  const CertificateFacts& certificate = facts.certificate;
  out["certificate"] = {
      {"names", certificate.dns_names},          {"addresses", certificate.addresses},
      {"subject", certificate.subject},          {"issuer", certificate.issuer},
      {"not_before", certificate.not_before},    {"not_after", certificate.not_after},
      {"chain_length", certificate.chain_length}};
  return out;
}

Json json_of(const ExplainedAddress& address) {
  Json out{{"address", address.address}, {"allowed", address.is_allowed}};
  if (!address.refusal.empty()) out["refusal"] = address.refusal;
  if (!address.connect_error.empty()) out["connect_error"] = address.connect_error;
  out["connected"] = address.is_connected;
  return out;
}

Json json_of(const ExplainedHop& hop) {
  Json out{{"url", hop.url}, {"repeated", hop.is_repeated}, {"addresses", Json::array()}};
  if (!hop.full_name.empty()) out["full_name"] = hop.full_name;
  for (const ExplainedAddress& address : hop.addresses) {
    out["addresses"].push_back(json_of(address));
  }
  Json timing = Json::object();
  add_time(timing, "resolve_ms", hop.resolve_ms);
  add_time(timing, "connect_ms", hop.connect_ms);
  add_time(timing, "tls_ms", hop.tls_ms);
  add_time(timing, "first_byte_ms", hop.first_byte_ms);
  out["timing"] = timing;
  if (hop.tls) out["tls"] = json_of(*hop.tls);
  out["status"] = hop.status;
  Json headers = Json::array();
  for (const auto& [name, value] : hop.headers)
    headers.push_back({{"name", name}, {"value", value}});
  out["headers"] = headers;
  if (!hop.location.empty()) out["location"] = hop.location;
  return out;
}

Json json_of(const std::vector<ExplainedLink>& links) {
  Json out = Json::array();
  for (const ExplainedLink& link : links) {
    out.push_back({{"before", link.before}, {"after", link.after}});
  }
  return out;
}

Json json_of(const ExplainedManifest& manifest) {
  Json representations = Json::array();
  for (const ExplainedRepresentation& found : manifest.representations) {
    representations.push_back({{"type", found.type},
                               {"language", found.language},
                               {"bandwidth", found.bandwidth},
                               {"width", found.width},
                               {"height", found.height},
                               {"codecs", found.codecs}});
  }
  return {{"window", manifest.is_live ? "live" : "VOD"},
          {"truncated", manifest.is_truncated},
          {"periods", manifest.periods},
          {"representation_count", manifest.representation_count},
          {"representations", representations},
          {"encrypted", manifest.is_encrypted},
          {"keys", manifest.keys},
          {"rewritten", {{"links", manifest.rewritten_links}, {"first", json_of(manifest.links)}}}};
}

Json json_of(const ExplainedPlaylist& playlist) {
  Json out{{"type", playlist.type},
           {"lines", playlist.lines},
           {"segments", playlist.segments},
           {"channels", playlist.channels},
           {"renditions", playlist.renditions},
           {"low_latency", playlist.is_low_latency},
           {"keys", playlist.keys},
           {"variant_count", playlist.variant_count},
           {"variants_left_out", playlist.left_out}};
  if (!playlist.window.empty()) out["window"] = playlist.window;
  if (!playlist.target_duration.empty()) out["target_duration"] = playlist.target_duration;
  Json variants = Json::array();
  for (const ExplainedVariant& variant : playlist.variants) {
    variants.push_back({{"url", variant.url},
                        {"bandwidth", variant.bandwidth},
                        {"resolution", variant.resolution},
                        {"codecs", variant.codecs}});
  }
  out["variants"] = variants;
  out["rewritten"] = {{"lines", playlist.rewritten_lines},
                      {"lines_too_long", playlist.lines_too_long},
                      {"first", json_of(playlist.links)}};
  if (!playlist.error.empty()) out["error"] = playlist.error;
  return out;
}

}  // namespace

std::string report_as_json(const Report& report) {
  Json out{{"url", report.url},         {"verdict", name_of(report.verdict)},
           {"summary", report.summary}, {"advice", report.advice},
           {"reason", report.reason},   {"player_status", report.player_status}};
  if (report.is_partial) out["partial"] = true;
  if (!report.cause.empty()) out["cause"] = report.cause;
  if (!report.detail.empty()) out["detail"] = report.detail;
  if (!report.kind.empty()) out["kind"] = report.kind;
  out["content_type"] = report.declared_type;
  if (report.declared_length) out["content_length"] = *report.declared_length;
  out["body"] = {{"bytes_read", report.body_bytes}, {"complete", report.is_body_complete}};
  add_time(out["body"], "start_ms", report.body_start_ms);
  out["requests"] = Json::array();
  for (const ExplainedHop& hop : report.hops) out["requests"].push_back(json_of(hop));
  if (report.playlist) out["playlist"] = json_of(*report.playlist);
  if (report.manifest) out["manifest"] = json_of(*report.manifest);
  add_time(out, "total_ms", report.total_ms);
  // A byte that is not UTF-8 becomes U+FFFD.
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace streamgate
