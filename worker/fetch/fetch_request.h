// A request for an upstream's answer, as a value: it owns its texts and knows neither a client nor
// a link, so that a fetch can outlive the client that asked first.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/target_pattern.h"
#include "common/url.h"
#include "worker/http/message.h"

namespace streamgate {

class FetchTrace;
class HostTable;

// A header field of the client that goes to the upstream.
struct ForwardedField {
  std::string_view name;  // static storage, canonical spelling
  std::string value;
};

struct FetchRequest {
  Method method = Method::get;  // get or head
  HttpUrl url;
  // The Referer to send; the Origin is derived from it. None: both as the configuration says.
  std::optional<std::string> referer = std::nullopt;
  // Fields that replace all others of their name. Authorization and Cookie go only to the origin of
  // `url`.
  std::vector<std::pair<std::string, std::string>> headers = {};
  // The cookies that the link carries (worker/fetch/cookies.h). They are matched at each hop.
  std::string cookies = {};
  // Not empty: this User-Agent, of a player, in place of a browser's, and Referer and Origin only
  // if the link has a referer.
  std::string player_agent = {};
  // Range, conditions and negotiation, in the client's order.
  std::vector<ForwardedField> forwarded = {};
  // The client's CDN-Loop (RFC 8586), its lines joined; the last kMaxCdnLoopBytes of it: each hop
  // appends its mark, so those of a loop are at the end. Empty: the client sent none.
  static constexpr size_t kMaxCdnLoopBytes = size_t{4} * 1024;
  std::string cdn_loop = {};
  // Tried in this order if `url` fails (worker/fetch/failover.h); at most three.
  std::vector<UpstreamUrl> alternatives = {};
  // `url` up to a `|` in the last segment of its path, on the same origin. Requested if the
  // upstream answers `url` with a 4xx other than 429.
  std::optional<HttpUrl> before_bar = std::nullopt;
  // The hosts of the client's key, for every hop; null or empty: all. Part of the configuration.
  const std::vector<TargetPattern>* allow = nullptr;
  // The settings for the hosts of the client's key; null: the usual ones. Outlives the fetch.
  HostTable* hosts = nullptr;
  bool is_blocking = false;     // blocking_timeout in place of first_byte_timeout
  bool may_reconnect = false;   // Fetch::reconnect_at_end() may be called
  FetchTrace* trace = nullptr;  // outlives the fetch; null: nobody watches

  bool has_forwarded(std::string_view name) const {
    for (const ForwardedField& field : forwarded) {
      if (field.name == name) return true;
    }
    return false;
  }
};

}  // namespace streamgate
