// The result of `streamgate explain`: facts as plain values. report_text.h and report_json.h write
// them. All URLs and texts in it are redacted as in the log, bounded, and free of control bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/upstream/tls_facts.h"

namespace streamgate {

// The most that a report on a playlist or manifest shows.
inline constexpr size_t kMaxLinks = 3;
inline constexpr size_t kMaxKeys = 8;
inline constexpr size_t kMaxShownBytes = 300;  // of a text
// So much of a manifest is read for its facts.
inline constexpr size_t kMaxManifestBytes = size_t{256} * 1024;

// The exit status of the program is the number.
enum class Verdict {
  plays = 0,             // the upstream's answer can be played through the proxy
  upstream_problem = 1,  // the upstream, or the network to it
  refused = 2,           // by this service: the URL, its rules or its configuration
};
std::string_view name_of(Verdict verdict);

// Milliseconds that a step took; none: it did not happen or did not end.
using StepTime = std::optional<double>;

struct ExplainedAddress {
  std::string address;
  bool is_allowed = false;
  std::string refusal = {};        // by the guard
  std::string connect_error = {};  // empty: not tried, or connected
  bool is_connected = false;
};

// One request: to the URL, to the target of a redirect, to an alternative, or a repetition.
struct ExplainedHop {
  std::string url;
  bool is_repeated = false;    // the same URL again, without Referer and Origin after a 403
  std::string full_name = {};  // the name with a search domain of resolv.conf; empty: without
  std::vector<ExplainedAddress> addresses = {};
  StepTime resolve_ms = {};
  StepTime connect_ms = {};
  StepTime tls_ms = {};
  StepTime first_byte_ms = {};  // from the request sent to the response head complete
  std::optional<TlsFacts> tls = {};
  int status = 0;  // 0: no answer
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string location = {};
};

struct ExplainedVariant {
  std::string url;
  std::string bandwidth;
  std::string resolution;
  std::string codecs;
};

// A link before and after it was rewritten.
struct ExplainedLink {
  std::string before;
  std::string after;
};

struct ExplainedPlaylist {
  size_t lines = 0;
  size_t segments = 0;
  size_t renditions = 0;
  size_t channels = 0;
  std::string type = {};    // `multivariant`, `media`, `channel list`
  std::string window = {};  // of a media playlist: `live`, `event`, `VOD`
  std::string target_duration = {};
  bool is_low_latency = false;
  std::vector<std::string> keys = {};           // the methods of encryption
  std::vector<ExplainedVariant> variants = {};  // the first 16
  size_t variant_count = 0;
  size_t left_out = 0;  // variants that exceed hls.max_height or hls.max_bandwidth
  size_t rewritten_lines = 0;
  size_t lines_too_long = 0;
  std::vector<ExplainedLink> links = {};  // the first three
  std::string error = {};                 // why it cannot be rewritten
};

struct ExplainedRepresentation {
  std::string type = {};  // `video/mp4`
  std::string language = {};
  std::string bandwidth = {};
  std::string width = {};
  std::string height = {};
  std::string codecs = {};
};

struct ExplainedManifest {
  bool is_truncated = false;  // the rest are facts of its first kMaxManifestBytes
  bool is_live = false;
  size_t periods = 0;
  size_t representation_count = 0;
  std::vector<ExplainedRepresentation> representations = {};  // the first 16
  bool is_encrypted = false;
  std::vector<std::string> keys = {};     // the key systems
  size_t rewritten_links = 0;             // relative references stay as they are
  std::vector<ExplainedLink> links = {};  // the first three
};

struct Report {
  std::string url;
  Verdict verdict = Verdict::upstream_problem;
  std::string summary = {};              // one sentence
  std::vector<std::string> advice = {};  // what to do, in the order to try
  std::string reason = "ok";             // the token of the Reason that a player would get
  int player_status = 0;                 // the status that a player would get
  std::string cause = {};                // the token of the Cause; empty: none
  std::string detail = {};
  std::vector<ExplainedHop> hops = {};
  std::string kind = {};  // `HLS multivariant playlist`, `video/mp2t`, `HTML page`
  std::string declared_type = {};
  std::optional<uint64_t> declared_length = {};
  uint64_t body_bytes = 0;  // read
  bool is_body_complete = false;
  bool is_partial = false;      // only a part of the playlist or manifest was read and checked
  StepTime body_start_ms = {};  // from the head to the first byte of the body
  std::optional<ExplainedPlaylist> playlist = {};
  std::optional<ExplainedManifest> manifest = {};
  double total_ms = 0;
};

// `1 link`, `2 links`.
std::string counted(size_t count, std::string_view noun);

// A text from outside for a report: at most `max` bytes of UTF-8, and `?` for control bytes and
// those that are no UTF-8.
std::string printable(std::string text, size_t max);
// The same, with the secrets of a URL masked as in the log. The URL may be a link to us that is
// misspelled, or one to another proxy.
std::string shown(std::string_view text, size_t max);

}  // namespace streamgate
