// GET /health: whether the service works, for container health checks. GET /ready: whether load
// balancers should send new clients; 503 already before a planned stop (drain.ready_delay).
#pragma once

#include <string>

#include "common/config.h"
#include "worker/http/message.h"

namespace streamgate {

struct HealthRequest {
  const RequestHead& client;
  bool keep_alive = true;
  bool service_stopping = false;  // the whole service stops, not only this worker
};

struct HealthResponse {
  int status;        // 200, or 503 while the service stops
  std::string text;  // head and body, ready to send
};

HealthResponse write_health_response(const HealthRequest& request, const CorsConfig& cors);

struct ReadyRequest {
  const RequestHead& client;
  bool keep_alive = true;
  bool is_ready = false;
};

HealthResponse write_ready_response(const ReadyRequest& request, const CorsConfig& cors);

}  // namespace streamgate
