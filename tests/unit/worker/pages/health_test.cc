#include "worker/pages/health.h"

#include <gtest/gtest.h>

#include "tests/unit/read_head.h"

namespace streamgate {
namespace {

TEST(HealthTest, IsOkUntilTheServiceStops) {
  const RequestHead client;
  const HealthResponse ok = write_health_response({client}, {});
  EXPECT_EQ(ok.status, 200);
  const ReadHead head = read_head(ok.text);
  EXPECT_EQ(head.first_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(head["Content-Type"], "application/json");
  EXPECT_EQ(head.body, "{\"status\":\"ok\"}\n");

  const HealthResponse stopping = write_health_response({client, true, true}, {});
  EXPECT_EQ(stopping.status, 503);
  EXPECT_EQ(read_head(stopping.text).body, "{\"status\":\"stopping\"}\n");
}

TEST(HealthTest, FollowsTheRequestsMethodAndVersion) {
  RequestHead client;
  client.method = Method::head;
  client.minor_version = 0;
  const ReadHead head = read_head(write_health_response({client}, {}).text);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head["Connection"], "keep-alive");
  EXPECT_EQ(read_head(write_health_response({client, false}, {}).text)["Connection"], "close");
}

}  // namespace
}  // namespace streamgate
