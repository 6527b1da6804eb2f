// What every exchange of a worker works with. Built by Worker; outlives all exchanges.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/scoreboard.h"
#include "worker/documents/document_body.h"
#include "worker/exchange/access_log.h"
#include "worker/fetch/target_guard.h"
#include "worker/loop/pipe.h"
#include "worker/loop/reaper.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/resolver.h"

namespace streamgate {

class Exchange;

// Owns the live exchanges. finish() moves one from here to the reaper.
class ExchangeList {
 public:
  ExchangeList();
  ~ExchangeList();
  ExchangeList(const ExchangeList&) = delete;
  ExchangeList& operator=(const ExchangeList&) = delete;

  Exchange& add(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<Retirable> remove(Exchange& exchange);
  void log_all() const;

 private:
  std::vector<std::unique_ptr<Exchange>> live_;  // each knows its index
};

struct ExchangeEnvironment {
  const Config& config;
  const TargetGuard& guard;
  Resolver& resolver;
  UpstreamPool& pool;
  PipePool& pipes;
  TimerWheel& wheel;
  Reaper& reaper;
  AccessLog& access_log;
  Slot& slot;
  const std::atomic<bool>& service_stopping;
  ExchangeList exchanges;
  PlaylistBodies playlist_bodies = {};
  std::string url_scratch = {};  // kept for its memory
};

}  // namespace streamgate
