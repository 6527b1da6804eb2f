// The part of ClientFetch for upstreams that serve players only. The User-Agent of the player is
// part of the key, so players with the same one share their answers, and no client's User-Agent
// decides about the answer of another.
#include <utility>

#include "worker/cache/client_sharing.h"

namespace streamgate {

// An origin that is known to refuse browsers is asked as the player at once.
void ClientFetch::choose_identity() {
  Sharing& sharing = *sharing_;
  const std::string_view agent = sharing.client.player_agent;
  if (agent.empty()) return;
  const HttpUrl& url = sharing.request.url;
  sharing.identity = OriginMarks::identity(url, agent);
  if (!environment_.marks.is_served(sharing.identity)) return;
  if (!may_choose_identity(sharing.request, environment_.hosts.of(url))) return;
  sharing.request.player_agent = agent;
  sharing.key = *cache_key(sharing.request, cache_->settings_mark());
}

bool ClientFetch::may_change_identity() const {
  if (sharing_ != nullptr && sharing_->has_changed_identity) return false;
  if (own_) return own_->may_change_identity();
  const FetchRequest& request = sharing_->request;
  return sharing_->live == nullptr &&
         may_choose_identity(request, environment_.hosts.of(request.url));
}

void ClientFetch::change_identity(std::string_view player_agent) {
  if (own_) return own_->change_identity(player_agent);
  const bool was_player = !sharing_->request.player_agent.empty();
  begin_again_as(was_player ? std::string_view() : player_agent);
}

// In the next turn: this is a call from the answer that is given up.
void ClientFetch::begin_again_as(std::string_view player_agent) {
  Sharing& sharing = *sharing_;
  if (taken_ != nullptr) std::exchange(fetch_, nullptr)->stop();
  leave();
  sharing.has_changed_identity = true;
  sharing.request.player_agent = player_agent;
  sharing.key = *cache_key(sharing.request, cache_->settings_mark());
  sharing.head = sharing.known_head = nullptr;
  sharing.answer.reset();
  sharing.previous.reset();
  sharing.joins = 0;
  sharing.must_restart = false;
  sharing.must_join = true;
  sharing.next_turn.schedule();
}

// The mark follows what the origin does: after it has refused one identity and served the other, it
// is asked with the other.
void ClientFetch::keep_identity() {
  if (sharing_ == nullptr || sharing_->identity == 0) return;
  const bool is_player = own_ ? own_->is_as_player() : !sharing_->request.player_agent.empty();
  const bool has_changed = sharing_->has_changed_identity || (own_ && own_->has_changed_identity());
  if (!is_player && !has_changed) return;
  using Served = OriginMarks::Served;
  environment_.marks.set_served(sharing_->identity, is_player ? Served::player : Served::browser);
}

}  // namespace streamgate
