#include "worker/exchange/exchange_list.h"

#include <utility>

#include "common/check.h"
#include "worker/exchange/exchange.h"

namespace streamgate {

ExchangeList::ExchangeList() = default;
ExchangeList::~ExchangeList() = default;

Exchange& ExchangeList::add(std::unique_ptr<Exchange> exchange) {
  exchange->list_index_ = live_.size();
  return *live_.emplace_back(std::move(exchange));
}

std::unique_ptr<Retirable> ExchangeList::remove(Exchange& exchange) {
  const size_t index = exchange.list_index_;
  CHECK(index < live_.size() && live_[index].get() == &exchange);
  std::unique_ptr<Retirable> owned = std::move(live_[index]);
  if (index + 1 < live_.size()) {
    live_[index] = std::move(live_.back());
    live_[index]->list_index_ = index;
  }
  live_.pop_back();
  return owned;
}

void ExchangeList::log_all() const {
  for (const auto& exchange : live_) exchange->log_state();
}

}  // namespace streamgate
