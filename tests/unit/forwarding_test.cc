#include "worker/forwarding.h"

#include <gtest/gtest.h>
#include <time.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

// One head as its first line and its fields, so that tests speak about fields and not about order.
struct ReadHead {
  std::string first_line;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;

  // All values of that name with `|` between them; "-" if there is none.
  std::string operator[](std::string_view name) const {
    std::string values;
    bool found = false;
    for (const auto& [field, value] : fields) {
      if (!ascii::iequals(field, name)) continue;
      if (found) values += '|';
      values += value;
      found = true;
    }
    return found ? values : "-";
  }
};

ReadHead read_head(const std::string& text) {
  ReadHead head;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find("\r\n", begin);
    if (end == std::string::npos) {
      ADD_FAILURE() << "no empty line in " << text;
      return head;
    }
    const std::string line = text.substr(begin, end - begin);
    begin = end + 2;
    if (line.empty()) break;
    if (head.first_line.empty()) {
      head.first_line = line;
      continue;
    }
    const size_t colon = line.find(": ");
    EXPECT_NE(colon, std::string::npos) << line;
    head.fields.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  head.body = text.substr(begin);
  return head;
}

// --- towards the upstream ---

struct UpstreamCase {
  std::string query{};  // behind `/stream?url=http://up.example:81/v/a.m3u8`
  HeaderFields client{};
  UpstreamConfig config{};
  Method method = Method::get;
  bool send_referer_and_origin = true;
  bool send_range = true;
  bool cross_origin = false;
};

ReadHead upstream_head(const UpstreamCase& with) {
  const auto request = parse_stream_request(
      "/stream?url=http%3A%2F%2Fup.example%3A81%2Fv%2Fa.m3u8%3Fk%3D1" + with.query);
  if (!request) {
    ADD_FAILURE() << with.query;
    return {};
  }
  RequestHead client;
  client.fields = with.client;
  const UpstreamAttempt attempt{request->upstream, with.method, with.send_referer_and_origin,
                                with.send_range, with.cross_origin};
  return read_head(write_upstream_request(attempt, *request, client, with.config));
}

TEST(UpstreamRequestTest, LooksLikeABrowserOnTheUpstreamsOwnPage) {
  const ReadHead head = upstream_head({});
  EXPECT_EQ(head.first_line, "GET /v/a.m3u8?k=1 HTTP/1.1");
  EXPECT_EQ(head.fields.front().first, "Host");
  EXPECT_EQ(head["Host"], "up.example:81");
  EXPECT_TRUE(head["User-Agent"].starts_with("Mozilla/5.0 ")) << head["User-Agent"];
  EXPECT_EQ(head["Referer"], "http://up.example:81/");
  EXPECT_EQ(head["Origin"], "http://up.example:81");
  EXPECT_EQ(head["Accept"], "*/*");
  EXPECT_EQ(head["Accept-Encoding"], "identity");
  EXPECT_EQ(head["Range"], "-");
  EXPECT_EQ(head["Connection"], "-");
  EXPECT_EQ(upstream_head({.method = Method::head}).first_line, "HEAD /v/a.m3u8?k=1 HTTP/1.1");
}

TEST(UpstreamRequestTest, ForwardsWhatTheAnswerDependsOnAndNothingElse) {
  const HeaderFields client = {
      {"range", "bytes=0-1"},         {"If-Range", "\"e\""},       {"If-None-Match", "\"a\""},
      {"If-None-Match", "\"b\""},     {"If-Modified-Since", "x"},  {"Accept", "video/*"},
      {"Accept-Language", "de"},      {"Accept-Encoding", "gzip"}, {"Cookie", "c"},
      {"Authorization", "a"},         {"User-Agent", "player"},    {"Referer", "http://page/"},
      {"X-Forwarded-For", "1.2.3.4"}, {"Upgrade", "h2c"}};
  ReadHead head = upstream_head({.client = client});
  EXPECT_EQ(head["Range"], "bytes=0-1");
  EXPECT_EQ(head["If-Range"], "\"e\"");
  EXPECT_EQ(head["If-None-Match"], "\"a\"|\"b\"");
  EXPECT_EQ(head["If-Modified-Since"], "x");
  EXPECT_EQ(head["Accept"], "video/*");
  EXPECT_EQ(head["Accept-Language"], "de");
  EXPECT_EQ(head["Accept-Encoding"], "identity");
  for (const char* name : {"Cookie", "Authorization", "X-Forwarded-For", "Upgrade"}) {
    EXPECT_EQ(head[name], "-") << name;
  }
  head = upstream_head({.client = client, .send_range = false});
  EXPECT_EQ(head["Range"], "-");
  EXPECT_EQ(head["If-Range"], "-");
  EXPECT_EQ(upstream_head({.client = {{"If-Range", "\"e\""}}})["If-Range"], "-");
  EXPECT_EQ(upstream_head({.client = {{"Range", "bytes=0-"}, {"Range", "bytes=1-"}}})["Range"],
            "bytes=0-");
  EXPECT_EQ(
      upstream_head({.client = {{"Range", "bytes=0-"}, {"Connection", "close, RANGE"}}})["Range"],
      "-");
}

TEST(UpstreamRequestTest, FollowsTheConfiguredPolicies) {
  using Kind = HeaderPolicy::Kind;
  UpstreamConfig config{};
  const HeaderFields client = {
      {"User-Agent", "player"}, {"Referer", "http://page/x"}, {"Origin", "http://page"}};
  config.user_agent = config.referer = config.origin = {Kind::client, {}};
  ReadHead head = upstream_head({.client = client, .config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"],
            "playerhttp://page/xhttp://page");
  head = upstream_head({.config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"], "---");
  config.user_agent = config.referer = config.origin = {Kind::none, {}};
  head = upstream_head({.client = client, .config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"], "---");
  config.user_agent = config.referer = config.origin = {Kind::literal, "text"};
  head = upstream_head({.client = client, .config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"], "texttexttext");
}

TEST(UpstreamRequestTest, LetsTheRefererParameterWin) {
  const std::string query = "&referer=https%3A%2F%2Fsite.example%2Fwatch";
  ReadHead head = upstream_head({.query = query});
  EXPECT_EQ(head["Referer"], "https://site.example/watch");
  EXPECT_EQ(head["Origin"], "https://site.example");
  UpstreamConfig config{};
  config.referer = config.origin = {HeaderPolicy::Kind::none, {}};
  head = upstream_head({.query = query, .config = config});
  EXPECT_EQ(head["Referer"], "https://site.example/watch");
  EXPECT_EQ(head["Origin"], "-");
  head = upstream_head({.query = query, .send_referer_and_origin = false});
  EXPECT_EQ(head["Referer"] + head["Origin"], "--");
}

TEST(UpstreamRequestTest, LetsHeaderParametersWinOverEverything) {
  const ReadHead head = upstream_head(
      {.query = "&h_user-agent=VLC&h_Referer=x&h_ORIGIN=y&h_Accept=z&h_X-Key=k&h_Cookie=c",
       .client = {{"Accept", "video/*"}}});
  EXPECT_EQ(head["User-Agent"], "VLC");
  EXPECT_EQ(head["Referer"], "x");
  EXPECT_EQ(head["Origin"], "y");
  EXPECT_EQ(head["Accept"], "z");
  EXPECT_EQ(head["X-Key"], "k");
  EXPECT_EQ(head["Cookie"], "c");
}

TEST(UpstreamRequestTest, KeepsSecretsFromOtherOrigins) {
  const ReadHead head =
      upstream_head({.query = "&h_authorization=a&h_COOKIE=c&h_X-Key=k", .cross_origin = true});
  EXPECT_EQ(head["Authorization"], "-");
  EXPECT_EQ(head["Cookie"], "-");
  EXPECT_EQ(head["X-Key"], "k");
}

// --- towards the client ---

struct RelayCase {
  int status = 200;
  HeaderFields fields{};
  std::string path = "/v/file.bin";
  bool is_playlist = false;
  ClientFraming framing{ClientFraming::Kind::chunked, 0};
  bool keep_alive = true;
  int client_minor_version = 1;
  std::optional<uint64_t> declared_length{};
  std::string allow_origin = "*";
};

ReadHead relayed(const RelayCase& with) {
  ResponseHead upstream;
  upstream.status = with.status;
  upstream.fields = with.fields;
  upstream.declared_length = with.declared_length;
  CorsConfig cors;
  cors.allow_origin = with.allow_origin;
  const RelayedResponse response{upstream,     with.path,       with.is_playlist,
                                 with.framing, with.keep_alive, with.client_minor_version};
  return read_head(write_relayed_head(response, cors));
}

const HeaderFields kEverything = {{"Content-Type", "video/mp2t"},
                                  {"Content-Range", "bytes 0-1/2"},
                                  {"Content-Length", "2"},
                                  {"Content-Encoding", "gzip"},
                                  {"ETag", "\"e\""},
                                  {"Last-Modified", "l"},
                                  {"Accept-Ranges", "bytes"},
                                  {"Cache-Control", "max-age=1"},
                                  {"Cache-Control", "private"},
                                  {"Expires", "x"},
                                  {"Date", "d"},
                                  {"Content-Disposition", "inline"},
                                  {"Age", "3"},
                                  {"Retry-After", "4"},
                                  {"Location", "http://elsewhere/"},
                                  {"Set-Cookie", "s"},
                                  {"Connection", "close"},
                                  {"Keep-Alive", "timeout=5"},
                                  {"Transfer-Encoding", "chunked"},
                                  {"Trailer", "X"},
                                  {"Upgrade", "h2c"},
                                  {"Server", "nginx"},
                                  {"Content-Security-Policy", "x"},
                                  {"Access-Control-Allow-Origin", "http://only.example"},
                                  {"Access-Control-Allow-Credentials", "true"}};

TEST(RelayedHeadTest, LetsOnlyTheAllowListThrough) {
  const ReadHead head = relayed({.status = 206, .fields = kEverything});
  EXPECT_EQ(head.first_line, "HTTP/1.1 206 Partial Content");
  const std::vector<std::pair<std::string, std::string>> wanted = {
      {"Content-Type", "video/mp2t"},
      {"Content-Range", "bytes 0-1/2"},
      {"Content-Encoding", "gzip"},
      {"ETag", "\"e\""},
      {"Last-Modified", "l"},
      {"Accept-Ranges", "bytes"},
      {"Cache-Control", "max-age=1|private"},
      {"Expires", "x"},
      {"Date", "d"},
      {"Content-Disposition", "inline"},
      {"Age", "3"},
      {"Retry-After", "4"},
      {"Access-Control-Allow-Origin", "*"}};
  for (const auto& [name, value] : wanted) EXPECT_EQ(head[name], value) << name;
  for (const char* name :
       {"Location", "Set-Cookie", "Connection", "Keep-Alive", "Trailer", "Upgrade", "Server",
        "Content-Length", "Content-Security-Policy", "Access-Control-Allow-Credentials"}) {
    EXPECT_EQ(head[name], "-") << name;
  }
}

TEST(RelayedHeadTest, DropsFieldsThatWereMeantForOneHop) {
  const ReadHead head =
      relayed({.fields = {{"ETag", "e"}, {"Age", "1"}, {"Connection", "close, etag"}}});
  EXPECT_EQ(head["ETag"], "-");
  EXPECT_EQ(head["Age"], "1");
}

TEST(RelayedHeadTest, RelaysNeitherControlBytesNorASecondContentType) {
  const ReadHead head = relayed({.fields = {{"Content-Type", "a/b"},
                                            {"Content-Type", "c/d"},
                                            {"ETag",
                                             "a\x01"
                                             "b"}}});
  EXPECT_EQ(head["Content-Type"], "a/b");
  EXPECT_EQ(head["ETag"], "-");
}

TEST(RelayedHeadTest, SendsAPlaylistAsOurs) {
  const ReadHead head = relayed({.status = 206, .fields = kEverything, .is_playlist = true});
  EXPECT_EQ(head.first_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(head["Content-Type"], "application/vnd.apple.mpegurl");
  for (const char* name : {"ETag", "Last-Modified", "Accept-Ranges", "Content-Encoding",
                           "Content-Range", "Content-Length"}) {
    EXPECT_EQ(head[name], "-") << name;
  }
  EXPECT_EQ(head["Cache-Control"], "max-age=1|private");
  EXPECT_EQ(head["Age"], "3");
  EXPECT_EQ(head["Date"], "d");
}

TEST(RelayedHeadTest, CachesByDefaultOnlyWhatTheUpstreamLeftOpen) {
  const auto caching = [](int status, const std::string& path, HeaderFields fields = {},
                          bool playlist = false) {
    return relayed({.status = status,
                    .fields = std::move(fields),
                    .path = path,
                    .is_playlist = playlist})["Cache-Control"];
  };
  const std::string segment = "public, max-age=86400, immutable";
  for (const char* path : {"/a.ts", "/a.m4s", "/a.mp4", "/a.m4a", "/a.aac", "/a.VTT"}) {
    EXPECT_EQ(caching(200, path), segment) << path;
  }
  EXPECT_EQ(caching(206, "/a.ts"), segment);
  for (const char* path : {"/a", "/a.m3u8", "/a.tsx", "/ts", "/a.ts/b"})
    EXPECT_EQ(caching(200, path), "-") << path;
  for (const int status : {304, 404, 416, 500}) EXPECT_EQ(caching(status, "/a.ts"), "-") << status;
  EXPECT_EQ(caching(200, "/a.ts", {{"cache-control", "no-store"}}), "no-store");
  EXPECT_EQ(caching(200, "/a.ts", {{"Expires", "0"}}), "-");
  EXPECT_EQ(caching(200, "/a.m3u8", {}, true), "no-cache");
  EXPECT_EQ(caching(200, "/a.ts", {{"Cache-Control", "max-age=2"}}, true), "max-age=2");
}

TEST(RelayedHeadTest, FramesForTheClientsVersion) {
  using Kind = ClientFraming::Kind;
  ReadHead head = relayed({.framing = {Kind::chunked, 0}});
  EXPECT_EQ(head["Transfer-Encoding"] + head["Content-Length"] + head["Connection"], "chunked--");
  head = relayed({.framing = {Kind::length, 7}});
  EXPECT_EQ(head["Transfer-Encoding"] + head["Content-Length"] + head["Connection"], "-7-");
  head = relayed({.framing = {Kind::length, 7}, .client_minor_version = 0});
  EXPECT_EQ(head["Connection"], "keep-alive");
  head = relayed({.framing = {Kind::length, 7}, .keep_alive = false});
  EXPECT_EQ(head["Connection"], "close");
  head = relayed({.framing = {Kind::until_close, 0}, .client_minor_version = 0});
  EXPECT_EQ(head["Transfer-Encoding"] + head["Content-Length"] + head["Connection"], "--close");
}

TEST(RelayedHeadTest, TellsTheLengthOfABodyThatIsNotSent) {
  using Kind = ClientFraming::Kind;
  const auto length = [](int status, bool playlist) {
    const ReadHead head = relayed({.status = status,
                                   .is_playlist = playlist,
                                   .framing = {Kind::none, 0},
                                   .declared_length = 9});
    EXPECT_EQ(head["Transfer-Encoding"], "-");
    return head["Content-Length"];
  };
  EXPECT_EQ(length(200, false), "9");
  EXPECT_EQ(length(304, false), "9");
  EXPECT_EQ(length(204, false), "-");
  EXPECT_EQ(length(200, true), "-");
}

TEST(RelayedHeadTest, OpensItselfToBrowsers) {
  ReadHead head = relayed({});
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "*");
  EXPECT_EQ(head["X-Content-Type-Options"], "nosniff");
  EXPECT_EQ(head["Vary"], "-");
  for (const char* name :
       {"Content-Length", "Content-Range", "Accept-Ranges", "ETag", "X-Streamgate-Error"}) {
    EXPECT_NE(head["Access-Control-Expose-Headers"].find(name), std::string::npos) << name;
  }
  head = relayed({.allow_origin = "https://player.example"});
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "https://player.example");
  EXPECT_EQ(head["Vary"], "Origin");
}

TEST(RelayedHeadTest, LocksDocumentsThatCouldRunScripts) {
  const auto policy = [](const char* type) {
    return relayed({.fields = {{"Content-Type", type}}})["Content-Security-Policy"];
  };
  for (const char* type :
       {"text/html", "TEXT/HTML; charset=x", "image/svg+xml", "application/xml"}) {
    EXPECT_EQ(policy(type), "sandbox") << type;
  }
  EXPECT_EQ(policy("video/mp2t"), "-");
}

TEST(RelayedHeadTest, NamesEveryStatus) {
  EXPECT_EQ(relayed({.status = 416}).first_line, "HTTP/1.1 416 Range Not Satisfiable");
  EXPECT_EQ(relayed({.status = 599}).first_line, "HTTP/1.1 599 Unknown");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(508), "Loop Detected");
  EXPECT_EQ(reason_phrase(1000), "Unknown");
}

// --- our own answers ---

TEST(OwnResponseTest, SaysWhatWentWrongTwice) {
  const ReadHead head = read_head(write_error_response({Reason::dns_failed, {}}, false, true, {}));
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
            "resolved.\",\"status\":502}\n");
}

TEST(OwnResponseTest, SaysWhichRuleAUrlBreaksAndNothingOfOtherFailures) {
  const ReadHead url = read_head(
      write_error_response({Reason::bad_url, "userinfo is not allowed"}, false, true, {}));
  EXPECT_NE(url.body.find(R"("detail":"userinfo is not allowed")"), std::string::npos);
  const ReadHead target =
      read_head(write_error_response({Reason::target_forbidden, "10.0.0.1"}, false, true, {}));
  EXPECT_EQ(target.body.find("10.0.0.1"), std::string::npos);
}

TEST(OwnResponseTest, CarriesTheDate) {
  const ReadHead head = read_head(write_error_response({Reason::not_found, {}}, false, true, {}));
  const std::string date = head["Date"];
  tm parts{};
  const char* end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  ASSERT_NE(end, nullptr) << date;
  EXPECT_EQ(*end, '\0');
  EXPECT_NEAR(static_cast<double>(::timegm(&parts)), static_cast<double>(::time(nullptr)), 5.0);
}

TEST(OwnResponseTest, SendsNoBodyToHead) {
  const ReadHead head = read_head(write_error_response({Reason::not_found, {}}, true, false, {}));
  EXPECT_EQ(head.body, "");
  EXPECT_GT(std::stoi(head["Content-Length"]), 0);
  EXPECT_EQ(head["Connection"], "close");
}

TEST(OwnResponseTest, SaysWhichMethodsAreAllowed) {
  const ReadHead head =
      read_head(write_error_response({Reason::method_not_allowed, {}}, false, true, {}));
  EXPECT_EQ(head["Allow"], "GET, HEAD, OPTIONS");
}

TEST(OwnResponseTest, AnswersWhatIsNoError) {
  OwnResponse response;
  response.content_type = "text/plain";
  response.body = "ok\n";
  response.extra_fields = "X-A: b\r\n";
  response.client_minor_version = 0;
  ReadHead head = read_head(write_own_response(response, {}));
  EXPECT_EQ(head.first_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(head["X-Streamgate-Error"], "-");
  EXPECT_EQ(head["X-A"], "b");
  EXPECT_EQ(head["Connection"], "keep-alive");
  EXPECT_EQ(head.body, "ok\n");
  response.status = 204;
  head = read_head(write_own_response(response, {}));
  EXPECT_EQ(head["Content-Length"], "-");
  EXPECT_EQ(head.body, "");
}

TEST(OwnResponseTest, AnswersPreflights) {
  RequestHead client;
  client.fields = {{"Origin", "http://p"},
                   {"Access-Control-Request-Method", "GET"},
                   {"Access-Control-Request-Headers", "range, x-a,, bad name,y\"z"},
                   {"Access-Control-Request-Private-Network", "true"}};
  ReadHead head = read_head(write_preflight_response(client, true, {}));
  EXPECT_EQ(head.first_line, "HTTP/1.1 204 No Content");
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "*");
  EXPECT_EQ(head["Access-Control-Allow-Methods"], "GET, HEAD, OPTIONS");
  EXPECT_EQ(head["Access-Control-Allow-Headers"], "range, x-a");
  EXPECT_EQ(head["Access-Control-Allow-Private-Network"], "true");
  EXPECT_EQ(head["Access-Control-Max-Age"], "86400");
  EXPECT_EQ(head["Content-Length"] + head["Transfer-Encoding"] + head["Connection"], "---");
  EXPECT_EQ(head.body, "");
  client.fields.clear();
  head = read_head(write_preflight_response(client, false, {"http://p"}));
  EXPECT_EQ(head["Access-Control-Allow-Headers"], "*");
  EXPECT_EQ(head["Access-Control-Allow-Private-Network"], "-");
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "http://p");
  EXPECT_EQ(head["Vary"], "Origin");
  EXPECT_EQ(head["Connection"], "close");
}

// --- our own address ---

TEST(PublicOriginTest, ComesFromTheBestWitness) {
  RequestHead client;
  EXPECT_EQ(public_origin(client, "http", true, ""), "");
  client.fields = {{"Host", "h.example:8080"}};
  EXPECT_EQ(public_origin(client, "http", true, ""), "http://h.example:8080");
  client.fields.push_back({"X-Forwarded-Proto", "HTTPS, http"});
  client.fields.push_back({"X-Forwarded-Host", " tv.example , inner"});
  client.fields.push_back({"X-Forwarded-Prefix", "/proxy/"});
  EXPECT_EQ(public_origin(client, "http", true, ""), "https://tv.example/proxy");
  EXPECT_EQ(public_origin(client, "http", false, ""), "http://h.example:8080");
  EXPECT_EQ(public_origin(client, "http", true, "https://set.example/x"), "https://set.example/x");
  EXPECT_EQ(public_origin(client, "https", false, ""), "https://h.example:8080");
}

TEST(PublicOriginTest, IgnoresForwardedValuesThatAreNotPlain) {
  const auto origin = [](const char* name, const char* value) {
    RequestHead client;
    client.fields = {{"Host", "h"}, {name, value}};
    return public_origin(client, "http", true, "");
  };
  for (const char* host : {"", "a b", "a/b", "u@h", "a\"", "h:x", "a'b", "a$b", "%41"}) {
    EXPECT_EQ(origin("X-Forwarded-Host", host), "http://h") << host;
  }
  EXPECT_EQ(origin("X-Forwarded-Host", "[::1]:8443"), "http://[::1]:8443");
  for (const char* scheme : {"", "ftp", "javascript", "https:"})
    EXPECT_EQ(origin("X-Forwarded-Proto", scheme), "http://h");
  for (const char* prefix : {"", "/", "proxy", "//evil", "/a//b", "/a?b", "/a b", "/a\"", "/%2e"}) {
    EXPECT_EQ(origin("X-Forwarded-Prefix", prefix), "http://h") << prefix;
  }
  EXPECT_EQ(origin("X-Forwarded-Prefix", "/a/b.c"), "http://h/a/b.c");
  RequestHead client;
  client.fields = {{"Host", "h=\"x"}};
  EXPECT_EQ(public_origin(client, "http", true, ""), "");
}

}  // namespace
}  // namespace streamgate
