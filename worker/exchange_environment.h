// What every exchange of a worker works with. Built by Worker; outlives all exchanges.
//
// Level 3.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/scoreboard.h"
#include "worker/access_log.h"
#include "worker/pipe.h"
#include "worker/playlist_body.h"
#include "worker/reaper.h"
#include "worker/resolver.h"
#include "worker/target_guard.h"
#include "worker/timer_wheel.h"
#include "worker/upstream_pool.h"

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
