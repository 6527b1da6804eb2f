#include "worker/http/own_response.h"

#include <gtest/gtest.h>
#include <time.h>

#include <string>

#include "tests/unit/read_head.h"

namespace streamgate {
namespace {

const CorsConfig kAnyOrigin;

std::string error_response(const Error& error) {
  return write_error_response({.error = error, .id = "id-1", .keep_alive = true}, kAnyOrigin);
}

TEST(OwnResponseTest, ErrorBodyAndHeaderNameTheReason) {
  const ReadHead head = read_head(error_response({Reason::dns_failed, {}}));
  EXPECT_EQ(head.first_line, "HTTP/1.1 502 Bad Gateway");
  EXPECT_EQ(head["X-Streamgate-Error"], "dns_failed");
  EXPECT_EQ(head["Content-Type"], "application/json");
  EXPECT_EQ(head["Cache-Control"], "no-store");
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "*");
  EXPECT_EQ(head["X-Content-Type-Options"], "nosniff");
  EXPECT_EQ(head["Connection"], "-");
  EXPECT_EQ(head["Content-Length"], std::to_string(head.body.size()));
  EXPECT_EQ(head.body,
            "{\"error\":\"dns_failed\",\"message\":\"The upstream's name could not be "
            "resolved.\",\"status\":502,\"id\":\"id-1\"}\n");
}

TEST(OwnResponseTest, ErrorBodyHasTheClientDetailButNotTheLogDetail) {
  const Error url = Error::for_client(Reason::bad_url, "userinfo is not allowed");
  EXPECT_EQ(read_head(error_response(url)).body,
            R"({"error":"bad_url","message":"The url parameter is missing or not a usable http(s) )"
            R"(URL.","detail":"userinfo is not allowed","status":400,"id":"id-1"})"
            "\n");
  for (const Reason reason : {Reason::target_forbidden, Reason::bad_url}) {
    const std::string text = error_response({reason, "10.0.0.1"});
    EXPECT_EQ(text.find("10.0.0.1"), std::string::npos);
    EXPECT_EQ(text.find("detail"), std::string::npos);
  }
}

TEST(OwnResponseTest, TextForTheClientIsEscapedForJson) {
  const Error error = Error::for_client(Reason::bad_url, "a\"b\\c\r\n\xff\xc3\xa9");
  const ReadHead head = read_head(error_response(error));
  EXPECT_NE(head.body.find("\"detail\":\"a\\\"b\\\\c\\u000d\\u000a\\ufffd\xc3\xa9\","),
            std::string::npos)
      << head.body;
}

TEST(OwnResponseTest, HasTheCurrentDate) {
  const ReadHead head = read_head(error_response({Reason::not_found, {}}));
  const std::string date = head["Date"];
  tm parts{};
  const char* end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  ASSERT_NE(end, nullptr) << date;
  EXPECT_EQ(*end, '\0');
  EXPECT_NEAR(static_cast<double>(::timegm(&parts)), static_cast<double>(::time(nullptr)), 5.0);
}

TEST(OwnResponseTest, HeadRequestGetsNoBody) {
  const ReadHead head = read_head(write_error_response(
      {.error = {Reason::not_found, {}}, .id = "id-1", .head_only = true}, kAnyOrigin));
  EXPECT_EQ(head.body, "");
  EXPECT_GT(std::stoi(head["Content-Length"]), 0);
  EXPECT_EQ(head["Connection"], "close");
}

TEST(OwnResponseTest, MethodNotAllowedHasAllow) {
  const ReadHead head = read_head(error_response({Reason::method_not_allowed, {}}));
  EXPECT_EQ(head["Allow"], "GET, HEAD, OPTIONS");
}

TEST(OwnResponseTest, ResponseThatIsNotAnErrorHasNoErrorHeader) {
  OwnResponse response;
  response.content_type = "text/plain";
  response.body = "ok\n";
  response.extra_fields = "X-A: b\r\n";
  response.client_minor_version = 0;
  ReadHead head = read_head(write_own_response(response, kAnyOrigin));
  EXPECT_EQ(head.first_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(head["X-Streamgate-Error"], "-");
  EXPECT_EQ(head["X-A"], "b");
  EXPECT_EQ(head["Connection"], "keep-alive");
  EXPECT_EQ(head.body, "ok\n");
  response.status = 204;
  head = read_head(write_own_response(response, kAnyOrigin));
  EXPECT_EQ(head["Content-Length"], "-");
  EXPECT_EQ(head.body, "");
}

TEST(OwnResponseTest, PreflightAllowsTheRequestedHeadersThatAreTokens) {
  RequestHead client;
  client.fields = {{"Origin", "http://p"},
                   {"Access-Control-Request-Method", "GET"},
                   {"Access-Control-Request-Headers", "range, x-a,, bad name,y\"z"},
                   {"Access-Control-Request-Private-Network", "true"}};
  ReadHead head = read_head(write_preflight_response(client, true, kAnyOrigin));
  EXPECT_EQ(head.first_line, "HTTP/1.1 204 No Content");
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "*");
  EXPECT_EQ(head["Access-Control-Allow-Methods"], "GET, HEAD, OPTIONS");
  EXPECT_EQ(head["Access-Control-Allow-Headers"], "range, x-a");
  EXPECT_EQ(head["Access-Control-Allow-Private-Network"], "-");
  EXPECT_NE(head["Date"], "-");
  EXPECT_EQ(head["Access-Control-Max-Age"], "86400");
  EXPECT_EQ(head["Content-Length"] + head["Transfer-Encoding"] + head["Connection"], "---");
  EXPECT_EQ(head.body, "");
  client.fields.clear();
  head = read_head(write_preflight_response(client, false, {{"http://p"}}));
  EXPECT_EQ(head["Access-Control-Allow-Headers"], "*");
  EXPECT_EQ(head["Access-Control-Allow-Private-Network"], "-");
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "http://p");
  EXPECT_EQ(head["Vary"], "Origin");
  EXPECT_EQ(head["Connection"], "close");
}

TEST(OwnResponseTest, PrivateNetworkIsAllowedOnlyIfConfiguredAndAskedFor) {
  const auto allowed = [](bool configured, const char* asked) {
    RequestHead client;
    client.fields = {{"Access-Control-Request-Private-Network", asked}};
    CorsConfig cors;
    cors.private_network = configured;
    return read_head(
        write_preflight_response(client, true, cors))["Access-Control-Allow-Private-Network"];
  };
  EXPECT_EQ(allowed(true, "true"), "true");
  EXPECT_EQ(allowed(true, "false"), "-");
  EXPECT_EQ(allowed(false, "true"), "-");
}

}  // namespace
}  // namespace streamgate
