#include "worker/explain/verdict.h"

#include <string_view>

namespace streamgate {
namespace {

constexpr size_t kMaxDetailBytes = 600;

bool is_refusal(Reason reason) {
  switch (reason) {
    case Reason::bad_url:
    case Reason::bad_request:
    case Reason::target_forbidden:
    case Reason::port_forbidden:
    case Reason::loop:
      return true;
    default:
      return false;
  }
}

std::string_view advice_for_status(int status) {
  switch (status) {
    case 401:
      return "The upstream requires a user name and a password. Write them into the URL "
             "(http://user:password@host/), or set the header Authorization.";
    case 403:
      return "The upstream refuses the request. A token in the URL may have expired or be bound to "
             "another address; get a new URL. The upstream may also require a certain Referer "
             "(referer=) or User-Agent (h_User-Agent=), or block the country or network of this "
             "machine.";
    case 404:
    case 410:
      return "The upstream has nothing at this path. Check the path, or get a new URL.";
    case 407:
      return "A proxy on the way requires a password. Check upstream.proxy.";
    case 416:
      return "The upstream cannot send this range.";
    case 429:
      return "The upstream limits the number of requests. Wait, or set upstream.max_connections.";
    case 451:
      return "The upstream does not serve this content in the country of this machine.";
    case 456:
    case 458:
    case 459:
    case 461:
    case 509:
      return "IPTV panels send this status if an account has too many connections or has expired. "
             "Close other players, and set upstream.max_connections.";
    default:
      break;
  }
  if (status >= 500) return "The upstream has an error of its own. Try again later.";
  if (status >= 400) return "The upstream refuses the request. Check the URL and the headers.";
  if (status >= 300) return "The upstream sends a redirect without a usable Location.";
  return "";
}

std::string summary_of_status(int status) {
  const std::string answer = "it answers with status " + std::to_string(status) + ".";
  if (status == 404 || status == 410) {
    return "The upstream itself does not have this URL: " + answer;
  }
  if (status >= 400 && status < 500) return "The upstream itself refuses the request: " + answer;
  return "The upstream answers with status " + std::to_string(status) + ".";
}

// `at_least` is empty if the whole playlist was read.
std::string describe(const ExplainedPlaylist& playlist, const std::string& at_least) {
  if (playlist.type == "multivariant") {
    const std::string variants = at_least + counted(playlist.variant_count, "variant");
    if (playlist.left_out == 0) return variants;
    return variants + ", " + std::to_string(playlist.left_out) + " left out by a limit";
  }
  if (playlist.type == "media")
    return playlist.window + ", " + at_least + counted(playlist.segments, "segment");
  return at_least + counted(playlist.channels, "channel");
}

bool is_empty(const ExplainedPlaylist& playlist) {
  return playlist.variant_count + playlist.segments + playlist.channels == 0 &&
         !playlist.is_low_latency;
}

std::string advice_for_protected(const std::string& key) {
  return "The stream is protected (" + key + "): only a player with that key system plays it.";
}

void conclude_manifest(const ExplainedManifest& manifest, Report& report) {
  report.summary += std::string(" (") + (manifest.is_live ? "live" : "VOD") + ", " +
                    (manifest.is_truncated || report.is_partial ? "at least " : "") +
                    counted(manifest.representation_count, "representation") + ")";
  if (!manifest.is_encrypted) return;
  std::string keys;
  for (const std::string& key : manifest.keys) keys += (keys.empty() ? "" : " or ") + key;
  report.advice.push_back(advice_for_protected(keys.empty() ? "unknown key system" : keys));
}

void conclude_playlist(const ExplainedPlaylist& playlist, Report& report) {
  if (!playlist.error.empty()) {
    report.verdict = Verdict::upstream_problem;
    report.summary = "The playlist cannot be rewritten: " + playlist.error + ".";
    return;
  }
  if (is_empty(playlist)) {
    report.verdict = Verdict::upstream_problem;
    report.summary = report.is_partial ? "The playlist has no entry in the " +
                                             counted(report.body_bytes, "byte") + " that were read."
                                       : "The playlist is empty.";
    report.advice.emplace_back("The channel may be off the air. Try again later.");
    return;
  }
  report.summary += " (" + describe(playlist, report.is_partial ? "at least " : "") + ")";
  for (const std::string& key : playlist.keys) {
    const bool is_drm = key.find("SAMPLE-AES") == 0 || key.find('(') != key.npos;
    if (is_drm) report.advice.push_back(advice_for_protected(key));
  }
  if (playlist.left_out != 0) {
    report.advice.emplace_back(
        "Larger variants are left out by hls.max_height or hls.max_bandwidth, or by the parameters "
        "of the link (sg_max_height, sg_max_bandwidth).");
  }
  if (playlist.type == "multivariant") {
    report.advice.emplace_back(
        "If the player still shows nothing, run `streamgate explain` with the URL of a variant: "
        "the upstream may refuse its segments.");
  }
}

}  // namespace

void conclude_failure(const Error& error, Report& report) {
  const ReasonInfo& info = info_of(error.reason);
  report.verdict = is_refusal(error.reason) ? Verdict::refused : Verdict::upstream_problem;
  report.reason = info.token;
  report.player_status = info.status;
  if (error.cause != Cause::none) report.cause = info_of(error.cause).token;
  report.detail = shown(error.detail.empty() ? error.client_detail : error.detail, kMaxDetailBytes);
  report.summary = info.message;
  if (error.cause != Cause::none) {
    report.summary.back() = ':';
    report.summary += " " + std::string(info_of(error.cause).sentence) + ".";
  }
  const std::string_view advice = guidance_for(error.reason, error.cause).advice;
  if (!advice.empty()) report.advice.emplace_back(advice);
}

void conclude_answer(bool can_play, const std::string& kind_advice, Report& report) {
  const int status = report.hops.back().status;
  report.player_status = status;
  if (status < 200 || status >= 300) {
    report.verdict = Verdict::upstream_problem;
    report.summary = summary_of_status(status);
    report.advice.emplace_back(advice_for_status(status));
    return;
  }
  if (!can_play) {
    report.verdict = Verdict::upstream_problem;
    report.summary = "The upstream answers, but not with a stream: " + report.kind + ".";
    if (!kind_advice.empty()) report.advice.push_back(kind_advice);
    return;
  }
  report.verdict = Verdict::plays;
  report.summary = report.is_partial
                       ? "As far as it was read (" + counted(report.body_bytes, "byte") +
                             "), the URL plays through the proxy: " + report.kind
                       : "The URL plays through the proxy: " + report.kind;
  if (report.playlist) conclude_playlist(*report.playlist, report);
  if (report.manifest) conclude_manifest(*report.manifest, report);
  if (report.verdict == Verdict::plays) report.summary += ".";
}

}  // namespace streamgate
