#include "worker/fetch/failover.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// Without the queries, which may have a token that changes. 0 if the first URL has a `|`: the URL
// in front of it is then among the others, and may have other content.
uint64_t key_of(const std::vector<UpstreamUrl>& urls) {
  if (urls.front().url.path_and_query.find("%7C") != std::string::npos) return 0;
  uint64_t key = kHashSeed;
  for (const auto& [url, _] : urls) key = hash_of(url.path(), hash_of(url.origin(), key));
  return key;
}

}  // namespace

Failover::Failover(std::vector<UpstreamUrl> urls, OriginMarks& marks)
    : urls_(std::move(urls)), order_(urls_.size()), marks_(marks), link_(key_of(urls_)) {
  CHECK(urls_.size() >= 2 && urls_.size() <= kMaxUrls);
  begin_round();
}

bool Failover::advance() {
  if (place_ + 1 == order_.size()) return false;
  ++place_;
  return true;
}

void Failover::begin_round() {
  place_ = 0;
  std::iota(order_.begin(), order_.end(), 0U);
  const auto kept = link_ != 0 ? marks_.kept(link_) : std::nullopt;
  if (kept && *kept < order_.size()) {
    std::rotate(order_.begin(), order_.begin() + *kept, order_.begin() + *kept + 1);
  }
  std::stable_partition(order_.begin(), order_.end(),
                        [this](unsigned index) { return !marks_.is_down(urls_[index].url); });
}

// The mark of a URL that is kept already is not renewed, so that the link returns to its first URL.
void Failover::on_answer() {
  const unsigned index = order_[place_];
  const HttpUrl& url = urls_[index].url;
  if (marks_.is_down(url)) marks_.set_up(url);
  if (link_ != 0 && marks_.kept(link_).value_or(0) != index) marks_.keep(link_, index);
}

}  // namespace streamgate
