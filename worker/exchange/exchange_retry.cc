// The part of Exchange that requests an answer again for a player.
#include "worker/exchange/exchange.h"

namespace streamgate {

// Some upstreams serve players only: SHOUTcast answers every User-Agent of a browser with a page,
// IPTV panels with 403. Upstreams see a browser's unless the configuration says otherwise.
bool Exchange::retry_as_player() {
  const std::string_view agent = field_or_empty(client_head_.fields, "User-Agent");
  const bool is_browser = agent.find("Mozilla/") != std::string_view::npos;
  if (agent.empty() || is_browser || !fetch_->may_retry_as_player()) return false;
  sniffer_.reset();
  fetch_->retry_as_player(agent);
  return true;
}

}  // namespace streamgate
