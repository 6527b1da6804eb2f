#include "worker/explain/report_text.h"

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate {
namespace {

// A label in a column of its own, then the text.
void add(std::string& out, std::string_view label, std::string_view text) {
  constexpr size_t kLabelWidth = 14;
  out += "   ";
  out += label;
  out.append(label.size() < kLabelWidth ? kLabelWidth - label.size() : 1, ' ');
  out += text;
  out += '\n';
}

std::string text_of(const StepTime& time) {
  if (!time) return "-";
  std::array<char, 32> text;
  const int size = std::snprintf(text.data(), text.size(), "%.1f ms", *time);
  return {text.data(), static_cast<size_t>(size)};
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

// Those that are not empty.
std::string known_of(std::vector<std::string> facts) {
  std::erase(facts, "");
  return facts.empty() ? "-" : joined(facts);
}

std::string bit_rate(const std::string& bandwidth) {
  return bandwidth.empty() ? std::string() : bandwidth + " bit/s";
}

void add_address(std::string& out, const ExplainedAddress& address) {
  std::string text = address.address;
  text += address.is_allowed ? ": allowed" : ": refused: " + address.refusal;
  if (address.is_connected) text += ", connected";
  if (!address.connect_error.empty()) text += ", failed: " + address.connect_error;
  add(out, "address", text);
}

void add_tls(std::string& out, const TlsFacts& facts) {
  if (facts.suite.empty() && !facts.has_certificate) return add(out, "TLS", "no handshake");
  add(out, "TLS version", facts.version + (facts.suite.empty() ? "" : ", " + facts.suite));
  add(out, "verification", facts.verdict + (facts.is_verified ? "" : " (not required)"));
  if (!facts.has_certificate) return;
  const CertificateFacts& certificate = facts.certificate;
  std::vector<std::string> names = certificate.dns_names;
  names.insert(names.end(), certificate.addresses.begin(), certificate.addresses.end());
  add(out, "certificate", "for " + joined(names));
  add(out, "", "issued by " + certificate.issuer);
  add(out, "", "valid from " + certificate.not_before + " to " + certificate.not_after);
}

void add_hop(std::string& out, const ExplainedHop& hop, size_t number) {
  out += std::to_string(number) + ". " + hop.url;
  out += hop.is_repeated ? "  (repeated, with other headers)\n" : "\n";
  if (!hop.full_name.empty()) add(out, "full name", hop.full_name);
  for (const ExplainedAddress& address : hop.addresses) add_address(out, address);
  add(out, "time",
      "resolve " + text_of(hop.resolve_ms) + ", connect " + text_of(hop.connect_ms) + ", TLS " +
          text_of(hop.tls_ms) + ", first byte " + text_of(hop.first_byte_ms));
  if (hop.tls) add_tls(out, *hop.tls);
  if (hop.status == 0) return add(out, "status", "none");
  add(out, "status", std::to_string(hop.status));
  for (const auto& [name, value] : hop.headers) add(out, "", name + ": " + value);
}

void add_links(std::string& out, const std::vector<ExplainedLink>& links) {
  for (const ExplainedLink& link : links) {
    add(out, "", link.before.empty() ? "(none)" : link.before);
    add(out, "", "  -> " + link.after);
  }
}

void add_playlist(std::string& out, const ExplainedPlaylist& playlist) {
  std::string size = counted(playlist.lines, "line");
  if (playlist.segments > 0) size += ", " + counted(playlist.segments, "segment");
  if (playlist.channels > 0) size += ", " + counted(playlist.channels, "channel");
  if (playlist.renditions > 0) size += ", " + counted(playlist.renditions, "rendition");
  add(out, "playlist", playlist.type + ", " + size);
  if (!playlist.window.empty()) {
    std::string window = playlist.window;
    if (playlist.is_low_latency) window += ", low latency";
    if (!playlist.target_duration.empty()) {
      window += ", segments up to " + playlist.target_duration + " s";
    }
    add(out, "", window);
  }
  if (!playlist.keys.empty()) add(out, "encryption", joined(playlist.keys));
  for (const ExplainedVariant& variant : playlist.variants) {
    const std::string text =
        known_of({bit_rate(variant.bandwidth), variant.resolution, variant.codecs});
    add(out, "variant", text + ": " + variant.url);
  }
  if (playlist.left_out != 0) {
    add(out, "left out", counted(playlist.left_out, "variant") + ", by a limit");
  }
  add(out, "rewritten", counted(playlist.rewritten_lines, "line"));
  add_links(out, playlist.links);
}

void add_manifest(std::string& out, const ExplainedManifest& manifest) {
  std::string part;
  if (manifest.is_truncated) {
    part = " (of its first " + std::to_string(kMaxManifestBytes / 1024) + " KiB)";
  }
  add(out, "manifest",
      std::string(manifest.is_live ? "live, " : "VOD, ") + counted(manifest.periods, "period") +
          ", " + counted(manifest.representation_count, "representation") + part);
  for (const ExplainedRepresentation& found : manifest.representations) {
    const bool has_size = !found.width.empty() && !found.height.empty();
    const std::string size = has_size ? found.width + "x" + found.height : std::string();
    add(out, "representation",
        known_of({bit_rate(found.bandwidth), size, found.type, found.codecs, found.language}));
  }
  if (manifest.is_encrypted) {
    add(out, "encryption", manifest.keys.empty() ? "yes" : joined(manifest.keys));
  }
  add(out, "rewritten", counted(manifest.rewritten_links, "link"));
  add_links(out, manifest.links);
}

void add_body(std::string& out, const Report& report) {
  if (report.kind.empty()) return;
  out += "Body\n";
  add(out, "kind", report.kind);
  add(out, "declared", report.declared_type.empty() ? "no Content-Type" : report.declared_type);
  add(out, "read",
      counted(report.body_bytes, "byte") +
          (report.is_body_complete ? ", complete" : ", and no further"));
  add(out, "first byte", text_of(report.body_start_ms) + " after the head");
  if (report.playlist) add_playlist(out, *report.playlist);
  if (report.manifest) add_manifest(out, *report.manifest);
  out += '\n';
}

}  // namespace

std::string report_as_text(const Report& report) {
  std::string out;
  for (size_t i = 0; i < report.hops.size(); ++i) {
    add_hop(out, report.hops[i], i + 1);
    out += '\n';
  }
  add_body(out, report);
  out += "Verdict: " + report.summary + "\n";
  if (!report.detail.empty()) add(out, "detail", report.detail);
  if (report.reason != "ok") {
    add(out, "a player gets", std::to_string(report.player_status) + " " + report.reason);
  }
  for (const std::string& advice : report.advice) add(out, "what to do", advice);
  return out;
}

}  // namespace streamgate
