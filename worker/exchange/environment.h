// The objects that all exchanges of a worker share. Built by Worker; outlives all exchanges.
#pragma once

#include <string>

#include "common/config.h"
#include "common/scoreboard.h"
#include "worker/cache/cache.h"
#include "worker/client/paced_refusals.h"
#include "worker/documents/document_body.h"
#include "worker/exchange/access_log.h"
#include "worker/exchange/exchange_list.h"
#include "worker/exchange/failing_hosts.h"
#include "worker/exchange/live_streams.h"
#include "worker/exchange/stream_limits.h"
#include "worker/fetch/fetch.h"
#include "worker/links/access_control.h"
#include "worker/loop/pipe.h"
#include "worker/loop/reaper.h"
#include "worker/loop/socket_memory.h"
#include "worker/loop/timer_wheel.h"
#include "worker/loop/work_queue.h"
#include "worker/upstream/host_settings.h"

namespace streamgate {

struct ExchangeEnvironment {
  const Config& config;
  FetchEnvironment& fetches;
  PipePool& pipes;
  SocketMemory& socket_memory;
  WorkQueue& work;
  TimerWheel& wheel;
  Reaper& reaper;
  AccessLog& access_log;
  Slot& slot;
  const ScoreboardView scoreboard;
  Column& column;  // the worker's own
  AccessControl& access;
  StreamLimits& limits;
  const KeyHosts& key_hosts;
  Cache* cache;  // null: off
  PacedRefusals& refusals;
  ExchangeList exchanges = {};
  LiveStreams streams{exchanges, wheel, column.streams};
  FailingHosts failing_hosts{column.host_failures, wheel};
  DocumentBodies document_bodies = {};
  std::string url_scratch = {};  // both are kept for their memory
  std::string redacted_scratch = {};
};

}  // namespace streamgate
