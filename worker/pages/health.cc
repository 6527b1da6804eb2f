#include "worker/pages/health.h"

#include "worker/http/own_response.h"

namespace streamgate {

HealthResponse write_health_response(const HealthRequest& request, const CorsConfig& cors) {
  OwnResponse response;
  response.status = request.service_stopping ? 503 : 200;
  response.content_type = "application/json";
  response.body =
      request.service_stopping ? "{\"status\":\"stopping\"}\n" : "{\"status\":\"ok\"}\n";
  response.head_only = request.client.method == Method::head;
  response.keep_alive = request.keep_alive;
  response.client_minor_version = request.client.minor_version;
  return {response.status, write_own_response(response, cors_for(cors, request.client.fields))};
}

}  // namespace streamgate
