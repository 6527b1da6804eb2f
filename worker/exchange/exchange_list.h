// The live exchanges of a worker. One list per worker; it owns them.
#pragma once

#include <memory>
#include <vector>

#include "worker/loop/reaper.h"

namespace streamgate {

class Exchange;

class ExchangeList {
 public:
  ExchangeList();
  ~ExchangeList();
  ExchangeList(const ExchangeList&) = delete;
  ExchangeList& operator=(const ExchangeList&) = delete;

  // The reference is valid until remove().
  Exchange& add(std::unique_ptr<Exchange> exchange);
  // Returns the exchange for the reaper. O(1).
  std::unique_ptr<Retirable> remove(Exchange& exchange);
  void log_all() const;
  // `visit` must not add or remove an exchange.
  template <class Visitor>
  void for_each(const Visitor& visit) const {
    for (const auto& exchange : live_) visit(*exchange);
  }

 private:
  std::vector<std::unique_ptr<Exchange>> live_;  // each knows its index
};

}  // namespace streamgate
