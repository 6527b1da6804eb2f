// The part of Exchange that requests an answer again for a player.
#include "worker/exchange/exchange.h"

namespace streamgate {

// The User-Agent of a client that is no browser; empty: it is one, or it sent none.
std::string_view Exchange::player_agent() const {
  const std::string_view agent = field_or_empty(client_head_.fields, "User-Agent");
  const bool is_browser = agent.find("Mozilla/") != std::string_view::npos;
  return is_browser ? std::string_view() : agent;
}

// Some upstreams serve players only: SHOUTcast answers every User-Agent of a browser with a page,
// IPTV panels with 403. Upstreams see a browser's unless the configuration says otherwise. One that
// is known to refuse browsers sees the player's, until it refuses that.
bool Exchange::retry_with_other_identity() {
  const std::string_view agent = player_agent();
  if (agent.empty() || !fetch_->may_change_identity()) return false;
  sniffer_.reset();
  fetch_->change_identity(agent);
  return true;
}

}  // namespace streamgate
