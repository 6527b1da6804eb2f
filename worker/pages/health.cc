#include "worker/pages/health.h"

#include "worker/http/own_response.h"

namespace streamgate {
namespace {

HealthResponse write_state(int status, std::string_view body, const RequestHead& client,
                           bool keep_alive, const CorsConfig& cors) {
  OwnResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = body;
  response.head_only = client.method == Method::head;
  response.keep_alive = keep_alive;
  response.client_minor_version = client.minor_version;
  return {status, write_own_response(response, cors_for(cors, client.fields))};
}

}  // namespace

HealthResponse write_health_response(const HealthRequest& request, const CorsConfig& cors) {
  const bool stopping = request.service_stopping;
  return write_state(stopping ? 503 : 200,
                     stopping ? "{\"status\":\"stopping\"}\n" : "{\"status\":\"ok\"}\n",
                     request.client, request.keep_alive, cors);
}

HealthResponse write_ready_response(const ReadyRequest& request, const CorsConfig& cors) {
  const bool ready = request.is_ready;
  return write_state(ready ? 200 : 503,
                     ready ? "{\"status\":\"ready\"}\n" : "{\"status\":\"not_ready\"}\n",
                     request.client, request.keep_alive, cors);
}

}  // namespace streamgate
