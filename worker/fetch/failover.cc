#include "worker/fetch/failover.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/check.h"
#include "common/hash.h"

namespace streamgate {
namespace {

// Without the queries, which may have a token that changes.
uint64_t key_of(const std::vector<UpstreamUrl>& urls) {
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
  if (const auto kept = marks_.kept(link_); kept && *kept < order_.size()) {
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
  if (marks_.kept(link_).value_or(0) != index) marks_.keep(link_, index);
}

}  // namespace streamgate
