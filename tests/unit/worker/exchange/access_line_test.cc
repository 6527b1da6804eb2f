#include "worker/exchange/access_line.h"

#include <gtest/gtest.h>
#include <limits.h>

#include <string>

namespace streamgate {
namespace {

constexpr char kLongId[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
constexpr size_t kTimeBytes = sizeof "2026-01-02T03:04:05.678Z" - 1;

class AccessLineTest : public testing::Test {
 protected:
  AccessLineTest() {
    record.id = "gk3w0x9q2c7rm";
    record.method = "GET";
    record.route = "/stream";
    record.status = 200;
    record.reason = "ok";
    record.body_bytes = 12;
    record.duration_ms = 7;
    record.head = &head;
  }

  std::string write() { return std::string(AccessLine(config, {812, 3}).write(record)); }
  // Without the time.
  std::string write_text() { return write().substr(kTimeBytes); }
  std::string write_json() {
    const std::string line = write();
    EXPECT_TRUE(line.starts_with("{\"time\":\"")) << line;
    return line.substr(sizeof "{\"time\":\"" - 1 + kTimeBytes);
  }

  LogConfig config;
  RequestHead head;
  AccessRecord record{"192.0.2.1:4711"};
};

void add_upstream(AccessRecord& record) {
  record.redacted_upstream = "http://a.example/x";
  record.upstream_host = "a.example";
  record.upstream_status = 200;
  record.attempts = 1;
  record.reused_connection = true;
  record.first_byte_ms = 5;
}

TEST_F(AccessLineTest, TheFieldsAreThoseOfTheConfigurationInItsOrder) {
  config.fields = {AccessField::status, AccessField::worker, AccessField::generation,
                   AccessField::protocol, AccessField::id};
  EXPECT_EQ(write_text(),
            " access status=200 worker=812 generation=3 protocol=HTTP/1.1 id=gk3w0x9q2c7rm\n");
}

TEST_F(AccessLineTest, FieldsWithoutAValueAreLeftOut) {
  config.fields = {
      AccessField::upstream,   AccessField::upstream_status, AccessField::detail,
      AccessField::user_agent, AccessField::referer,         AccessField::first_byte_ms,
      AccessField::resumed,    AccessField::upstream_host,   AccessField::playlist};
  EXPECT_EQ(write_text(), " access\n");
  add_upstream(record);
  record.first_byte_ms.reset();
  EXPECT_EQ(write_text(),
            " access upstream=http://a.example/x upstream_status=200 upstream_host=a.example "
            "playlist=0\n");
}

TEST_F(AccessLineTest, HeadersOfTheClientAreMaskedAndEscaped) {
  head.fields = {{"user-agent", "a\"b (x; y) +http://u.example/?token=SECRET"},
                 {"Referer", "http://me:SECRET@r.example/p?k=SECRET#SECRET"}};
  config.fields = {AccessField::user_agent, AccessField::referer};
  EXPECT_EQ(write_text(),
            " access user_agent=\"a\\\"b (x; y) +http://u.example/?token=*\" "
            "referer=\"http://*@r.example/p?k=*#*\"\n");
}

TEST_F(AccessLineTest, TheCarryOfALinkInTheRefererIsMasked) {
  config.fields = {AccessField::referer};
  const auto shown = [this](const char* referer) {
    head.fields = {{"Referer", referer}};
    return write_text().substr(sizeof " access referer=" - 1);
  };
  EXPECT_EQ(shown("http://a:b@p.example/at/U0VDUkVU/http/h/a?k=v"),
            "\"http://*@p.example/at/*/http/h/a?k=*\"\n");
  EXPECT_EQ(shown("https://p/x/api/proxy/at/U0VDUkVU/HTTPS/h/at/b/c"),
            "https://p/*/api/proxy/at/*/HTTPS/h/at/b/c\n");
  EXPECT_EQ(shown("https://p/at/at/U0VDUkVU/http/h"), "https://p/at/at/*/http/h\n");
  EXPECT_EQ(shown("https://p/at/-/http/h/"), "https://p/at/-/http/h/\n");
  EXPECT_EQ(shown("https://p/at/work/httpd/at/x"), "https://p/at/work/httpd/at/x\n");

  config.format = LogFormat::combined;
  head.fields = {{"Referer", "http://p/at/U0VDUkVU/http/h/"}};
  EXPECT_NE(write().find("\"http://p/at/*/http/h/\""), std::string::npos) << write();
}

TEST_F(AccessLineTest, JsonHasNumbersAndFlags) {
  config.format = LogFormat::json;
  add_upstream(record);
  config.fields = {AccessField::id,     AccessField::status,        AccessField::upstream,
                   AccessField::reused, AccessField::first_byte_ms, AccessField::playlist};
  EXPECT_EQ(write_json(), R"(","level":"info","event":"access","id":"gk3w0x9q2c7rm","status":200,)"
                          R"("upstream":"http://a.example/x","reused":true,"first_byte_ms":5,)"
                          R"("playlist":false})"
                          "\n");
}

TEST_F(AccessLineTest, JsonEscapesHostileBytes) {
  config.format = LogFormat::json;
  config.fields = {AccessField::detail};
  record.detail = std::string_view("a\"\\\r\n\x1b[2J\0\xff\xc2\x9b,", 13);
  EXPECT_EQ(write_json(),
            R"(","level":"info","event":"access","detail":"a\"\\\u000d\u000a\u001b[2J\u0000)"
            R"(\ufffd\u009b"})"
            "\n");
}

TEST_F(AccessLineTest, JsonHasTheLevelOfAFailure) {
  config.format = LogFormat::json;
  record.level = access_level(Reason::first_byte_timeout);
  EXPECT_NE(write().find(R"("level":"error")"), std::string::npos);
  record.level = access_level(Reason::client_gone);
  EXPECT_NE(write().find(R"("level":"warn")"), std::string::npos);
}

TEST_F(AccessLineTest, CombinedIsTheFormatOfApache) {
  config.format = LogFormat::combined;
  head.fields = {{"User-Agent", "VLC/3.0 \"x\\"}, {"Referer", "http://r.example/?k=SECRET"}};
  head.minor_version = 0;
  add_upstream(record);
  const std::string line = write();
  ASSERT_EQ(line.find(" - - ["), sizeof "192.0.2.1" - 1) << line;
  const size_t end = line.find(']');
  ASSERT_EQ(end - line.find('['), sizeof "27/Nov/2026:03:48:13 +0000");
  EXPECT_EQ(line.substr(end),
            "] \"GET /stream?url=http://a.example/x HTTP/1.0\" 200 12 \"http://r.example/?k=*\" "
            "\"VLC/3.0 \\x22x\\x5C\"\n");
}

TEST_F(AccessLineTest, CombinedHasTheAddressWithoutThePort) {
  config.format = LogFormat::combined;
  for (const auto& [client, host] :
       {std::pair{"192.0.2.1", "192.0.2.1"}, std::pair{"192.0.2.1:80", "192.0.2.1"},
        std::pair{"2001:db8::1", "2001:db8::1"}, std::pair{"[2001:db8::1]:80", "2001:db8::1"}}) {
    record.client = client;
    EXPECT_TRUE(write().starts_with(std::string(host) + " - - ")) << client;
  }
}

TEST_F(AccessLineTest, CombinedHasADashForAMissingHead) {
  config.format = LogFormat::combined;
  record.head = nullptr;
  record.status = 0;
  EXPECT_NE(write().find("] \"-\" 499 12 \"-\" \"-\"\n"), std::string::npos) << write();
}

TEST_F(AccessLineTest, NoLineIsLongerThanPipeBuf) {
  for (const char byte : {'a', '"', '\x01', '\xff', '\n'}) {
    const std::string hostile(20'000, byte);
    head.fields = {{"User-Agent", hostile}, {"Referer", hostile}};
    add_upstream(record);
    record.route = record.detail = record.redacted_upstream = record.upstream_host = hostile;
    record.client = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";
    record.resumed = record.discontinuities = record.attempts = UINT_MAX;
    record.body_bytes = INT64_MAX;
    record.duration_ms = *(record.first_byte_ms = INT64_MAX);
    config.fields = default_access_fields();
    for (size_t i = config.fields.size(); i < std::size(kAccessFieldNames); ++i) {
      config.fields.push_back(static_cast<AccessField>(i));
    }
    for (const LogFormat format : {LogFormat::text, LogFormat::json, LogFormat::combined}) {
      config.format = format;
      record.id = kLongId;
      const std::string line = write();
      EXPECT_LE(line.size(), size_t{PIPE_BUF}) << line;
      EXPECT_EQ(line.find('\n'), line.size() - 1);
      EXPECT_NE(line.find("..."), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace streamgate
