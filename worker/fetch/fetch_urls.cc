// The part of Fetch that chooses between the URLs of a link.
#include <utility>
#include <vector>

#include "worker/fetch/fetch.h"

namespace streamgate {

// Before the first URL is requested, each URL is checked: by its name, or by its address if the URL
// has one. The addresses of a name are checked when the URL is requested.
Result<void> Fetch::begin_failover() {
  std::vector<UpstreamUrl> urls{{request_.url}};
  urls.insert(urls.end(), request_.alternatives.begin(), request_.alternatives.end());
  for (const auto& [url, _] : urls) {
    if (auto allowed = check_name(url); !allowed) return allowed;
    const auto literal = IpAddress::parse(url.host);
    if (!literal) continue;
    const SocketAddress address(*literal, url.port);
    if (auto allowed = environment_.guard.check_address(url, address); !allowed) return allowed;
  }
  failover_ = std::make_unique<Failover>(std::move(urls), environment_.marks);
  return {};
}

// Starts again with one of the link's URLs.
void Fetch::ask(const UpstreamUrl& url) {
  if (head_ != nullptr) take_cookies();
  release(UpstreamPool::Reuse::no);
  request_.url = url.url;
  asks_before_bar_ = request_.before_bar && request_.url == *request_.before_bar;
  left_origin_ = failover_ && url.url.origin() != failover_->first().origin();
  authorization_ = url.authorization;
  digest_.reset();
  challenges_ = redirects_ = 0;
  send_referer_ = true;
  asks_first_byte_ = false;
  observer_->on_next_url();
  resolve();
}

// False if every URL of the link has been tried.
bool Fetch::ask_next_url() {
  if (!failover_ || !failover_->advance()) return false;
  ask(failover_->current());
  return true;
}

// The upstream does not know the whole URL. A limit (429), a server's error and a failed connection
// do not depend on the end of the path.
bool Fetch::may_ask_before_bar(int status) const {
  const bool is_refused = status >= 400 && status < 500 && status != 429;
  return is_refused && request_.before_bar && !asks_before_bar_ &&
         (!failover_ || failover_->is_at_first());
}

}  // namespace streamgate
