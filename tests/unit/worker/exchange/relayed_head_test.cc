#include "worker/exchange/relayed_head.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/read_head.h"
#include "worker/http/head_writer.h"

namespace streamgate {
namespace {

struct RelayCase {
  int status = 200;
  HeaderFields fields{};
  std::string path = "/v/file.bin";
  bool is_rewritten = false;
  ClientFraming framing{ClientFraming::Kind::chunked, 0};
  bool keep_alive = true;
  int client_minor_version = 1;
  std::optional<uint64_t> declared_length{};
  std::vector<std::string> allow_origin{"*"};
  bool allow_credentials = false;
  std::string_view media_type{};
  HeaderFields client_fields{};
  std::string_view cache_outcome = {};
  bool is_whole_part = false;
  ContentCoding coding = ContentCoding::identity;
  bool varies_by_coding = false;
};

ReadHead relayed(const RelayCase& with) {
  ResponseHead upstream;
  upstream.status = with.status;
  upstream.fields = with.fields;
  upstream.declared_length = with.declared_length;
  CorsConfig cors;
  cors.allow_origin = with.allow_origin;
  cors.allow_credentials = with.allow_credentials;
  const RelayedResponse response{upstream,
                                 with.path,
                                 with.is_rewritten,
                                 {},  // document_type: HLS
                                 with.framing,
                                 with.keep_alive,
                                 with.client_minor_version,
                                 with.media_type,
                                 &with.client_fields,
                                 with.cache_outcome,
                                 with.is_whole_part,
                                 with.coding,
                                 with.varies_by_coding};
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

TEST(RelayedHeadTest, OnlyFieldsOfTheAllowListAreRelayed) {
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
        "Content-Length", "Access-Control-Allow-Credentials"}) {
    EXPECT_EQ(head[name], "-") << name;
  }
}

TEST(RelayedHeadTest, FieldsThatConnectionNamesAreDropped) {
  const ReadHead head =
      relayed({.fields = {{"ETag", "e"}, {"Age", "1"}, {"Connection", "close, etag"}}});
  EXPECT_EQ(head["ETag"], "-");
  EXPECT_EQ(head["Age"], "1");
}

TEST(RelayedHeadTest, ControlBytesAndAllButTheLastContentTypeAreDropped) {
  const ReadHead head = relayed({.fields = {{"Content-Type", "a/b"},
                                            {"Content-Type", "c/d"},
                                            {"ETag",
                                             "a\x01"
                                             "b"}}});
  EXPECT_EQ(head["Content-Type"], "c/d");
  EXPECT_EQ(head["ETag"], "-");
}

TEST(RelayedHeadTest, APlaylistHasOurTypeAndNoValidators) {
  const ReadHead head = relayed({.status = 206, .fields = kEverything, .is_rewritten = true});
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

TEST(RelayedHeadTest, OnlyAPlaylistWithoutACachingFieldGetsOne) {
  const auto caching = [](bool playlist, HeaderFields fields = {}) {
    return relayed({.fields = std::move(fields), .path = "/a.ts", .is_rewritten = playlist});
  };
  EXPECT_EQ(caching(false)["Cache-Control"], "-");
  EXPECT_EQ(caching(true)["Cache-Control"], "no-cache");
  EXPECT_EQ(caching(true, {{"cache-control", "max-age=2"}})["Cache-Control"], "max-age=2");
  for (const char* name : {"Expires", "Pragma"}) {
    const ReadHead head = caching(true, {{name, "x"}});
    EXPECT_EQ(head["Cache-Control"] + head[name], "-x") << name;
  }
  EXPECT_EQ(caching(true, {{"Age", "1"}, {"Vary", "Accept"}})["Cache-Control"], "no-cache");
}

TEST(RelayedHeadTest, VaryHasTheFieldsOfTheUpstreamAndOurs) {
  const HeaderFields fields = {{"Vary", "Accept"}, {"Vary", "Cookie"}};
  EXPECT_EQ(relayed({.fields = fields})["Vary"], "Accept|Cookie");
  EXPECT_EQ(relayed({.fields = fields, .allow_origin = {"https://a.example"}})["Vary"],
            "Accept|Cookie|Origin");
}

TEST(RelayedHeadTest, VaryOfADocumentThatMayBeCodedNamesAcceptEncodingOnce) {
  const auto vary = [](HeaderFields fields) {
    return relayed(
        {.fields = std::move(fields), .is_rewritten = true, .varies_by_coding = true})["Vary"];
  };
  EXPECT_EQ(vary({}), "Accept-Encoding");
  EXPECT_EQ(vary({{"vary", "Accept"}}), "Accept, Accept-Encoding");
  EXPECT_EQ(vary({{"Vary", "a ,b"}, {"Vary", "c"}}), "a, b, c, Accept-Encoding");
  EXPECT_EQ(vary({{"Vary", "accept-encoding, Origin"}}), "accept-encoding, Origin");
  EXPECT_EQ(vary({{"Vary", "*"}}), "*");
  EXPECT_EQ(vary({{"Vary", ""}}), "Accept-Encoding");
  EXPECT_EQ(vary({{"Vary", "Accept"}, {"Connection", "vary"}}), "Accept-Encoding");
  EXPECT_EQ(relayed({.is_rewritten = true})["Vary"], "-");
}

TEST(RelayedHeadTest, ACodedDocumentNamesItsCodingOnly) {
  const ReadHead head = relayed({.fields = kEverything,
                                 .is_rewritten = true,
                                 .coding = ContentCoding::gzip,
                                 .varies_by_coding = true});
  EXPECT_EQ(head["Content-Encoding"] + head["Vary"] + head["ETag"], "gzipAccept-Encoding-");
}

TEST(RelayedHeadTest, IcecastFieldsAreRelayedButNotForAPlaylist) {
  const HeaderFields fields = {{"icy-metaint", "16000"},
                               {"Icy-Name", "A \xc3\xa9"},
                               {"ice-audio-info", "bitrate=128"},
                               {"icy", "x"}};
  ReadHead head = relayed({.fields = fields});
  EXPECT_EQ(head["icy-metaint"] + head["icy-name"], "16000A \xc3\xa9");
  EXPECT_EQ(head["ice-audio-info"] + head["icy"], "bitrate=128-");
  head = relayed({.fields = fields, .is_rewritten = true});
  EXPECT_EQ(head["icy-metaint"] + head["icy-name"], "--");
}

TEST(RelayedHeadTest, AWholePartIsSentAs200WithoutItsRange) {
  const ReadHead head =
      relayed({.status = 206,
               .fields = {{"Content-Range", "bytes 0-8/9"}, {"ETag", "e"}, {"Content-Type", "a/b"}},
               .is_whole_part = true});
  EXPECT_EQ(head.first_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(head["Content-Range"] + head["ETag"] + head["Content-Type"], "-ea/b");
}

TEST(RelayedHeadTest, FramingFollowsTheClientsVersion) {
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

TEST(RelayedHeadTest, AnswersToHeadAnd304HaveTheContentLengthOfTheOmittedBody) {
  using Kind = ClientFraming::Kind;
  const auto length = [](int status, bool playlist) {
    const ReadHead head = relayed({.status = status,
                                   .is_rewritten = playlist,
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

TEST(RelayedHeadTest, CorsFieldsAreSent) {
  ReadHead head = relayed({});
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "*");
  EXPECT_EQ(head["Access-Control-Allow-Credentials"], "-");
  EXPECT_EQ(head["Cross-Origin-Resource-Policy"], "cross-origin");
  EXPECT_EQ(head["Timing-Allow-Origin"], "*");
  EXPECT_EQ(head["X-Content-Type-Options"], "nosniff");
  EXPECT_EQ(head["Vary"], "-");
  for (const char* name :
       {"Content-Length", "Content-Range", "Accept-Ranges", "Content-Type", "ETag", "Date", "Age",
        "Retry-After", "X-Streamgate-Error", "X-Streamgate-Id", "X-Streamgate-Upstream-Status",
        "icy-metaint", "icy-name"}) {
    EXPECT_NE(head["Access-Control-Expose-Headers"].find(name), std::string::npos) << name;
  }
  head = relayed({.allow_origin = {"https://player.example"}});
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "https://player.example");
  EXPECT_EQ(head["Cross-Origin-Resource-Policy"], "cross-origin");
  EXPECT_EQ(head["Timing-Allow-Origin"], "https://player.example");
  EXPECT_EQ(head["Vary"], "Origin");
}

TEST(RelayedHeadTest, TheRequestingOriginOfAListIsAllowed) {
  const auto for_origin = [](const char* origin) {
    return relayed({.allow_origin = {"https://a.example", "https://b.example"},
                    .allow_credentials = true,
                    .client_fields = {{"origin", origin}}});
  };
  ReadHead head = for_origin("https://b.example");
  EXPECT_EQ(head["Access-Control-Allow-Origin"], "https://b.example");
  EXPECT_EQ(head["Access-Control-Allow-Credentials"], "true");
  EXPECT_EQ(head["Timing-Allow-Origin"], "https://a.example|https://b.example");
  EXPECT_EQ(head["Vary"], "Origin");
  for (const char* other : {"https://c.example", "https://B.example", "null", ""}) {
    head = for_origin(other);
    EXPECT_EQ(head["Access-Control-Allow-Origin"], "-") << other;
    EXPECT_EQ(head["Access-Control-Allow-Credentials"], "-") << other;
    EXPECT_EQ(head["Vary"], "Origin");
  }
}

TEST(RelayedHeadTest, EveryResponseButAPlaylistIsSandboxed) {
  for (const char* type : {"text/html", "image/svg+xml", "video/mp2t", "application/json"}) {
    for (const int status : {200, 206, 304, 404}) {
      const ReadHead head = relayed({.status = status, .fields = {{"Content-Type", type}}});
      EXPECT_EQ(head["Content-Security-Policy"],
                "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src "
                "'unsafe-inline'")
          << type;
      EXPECT_EQ(head["X-Content-Type-Options"], "nosniff");
    }
  }
  EXPECT_EQ(relayed({.is_rewritten = true})["Content-Security-Policy"], "-");
}

TEST(RelayedHeadTest, ActiveTypesAreSentAsPlainText) {
  const auto sent = [](const char* type) {
    return relayed({.fields = {{"Content-Type", type}}})["Content-Type"];
  };
  EXPECT_EQ(sent("text/html"), "text/plain");
  EXPECT_EQ(sent("Text/HTML; charset=utf-8"), "text/plain; charset=utf-8");
  EXPECT_EQ(sent("text/plain, text/html; charset=x"), "text/plain");
  EXPECT_EQ(sent("text/xsl"), "text/plain");
  EXPECT_EQ(sent("text/css"), "text/plain");
  EXPECT_EQ(sent("text/javascript"), "text/plain");
  for (const char* type : {"image/svg+xml", "text/xml", "application/xml", "application/json",
                           "multipart/x-mixed-replace; boundary=\"a,b\"", "video", "video/mp2t"}) {
    EXPECT_EQ(sent(type), type);
  }
  EXPECT_EQ(sent("text/html, image/png"), "image/png");
  EXPECT_EQ(relayed({})["Content-Type"], "-");
  EXPECT_EQ(relayed({.status = 404, .fields = {{"Content-Type", "text/html"}}})["Content-Type"],
            "text/plain");
}

TEST(RelayedHeadTest, TypeOfTheFirstBytesReplacesTheDeclaredOne) {
  for (const HeaderFields& fields : {HeaderFields{}, {{"Content-Type", "text/html; charset=x"}}}) {
    EXPECT_EQ(relayed({.fields = fields, .media_type = "video/mp2t"})["Content-Type"],
              "video/mp2t");
  }
}

std::string type_of_part(const char* range, const char* type, const char* path) {
  return relayed({.status = 206,
                  .fields = {{"Content-Type", type}, {"Content-Range", range}},
                  .path = path})["Content-Type"];
}

TEST(RelayedHeadTest, ALaterPartHasTheTypeOfItsName) {
  for (const char* type : {"text/html", "text/plain", "application/octet-stream", "x/y"}) {
    EXPECT_EQ(type_of_part("bytes 5-9/10", type, "/a.mp4"), "video/mp4") << type;
  }
  EXPECT_EQ(type_of_part("bytes 5-9/10", "text/html", "/a"), "application/octet-stream");
  EXPECT_EQ(type_of_part("bytes 5-9/10", "text/plain", "/a.html"), "application/octet-stream");
  EXPECT_EQ(type_of_part("bytes 5-9/10", "application/json", "/a"), "application/json");
  EXPECT_EQ(type_of_part("bytes 5-9/10", "video/mp2t", "/a.ts"), "video/mp2t");
  EXPECT_EQ(type_of_part("bytes 0-9/10", "text/html", "/a.mp4"), "text/plain");
}

TEST(RelayedHeadTest, ALaterUnnamedPartForAMediaElementIsMedia) {
  const auto sent = [](const char* destination, const char* path) {
    return relayed({.status = 206,
                    .fields = {{"Content-Range", "bytes 5-9/10"}},
                    .path = path,
                    .client_fields = {{"Sec-Fetch-Dest", destination}}})["Content-Type"];
  };
  EXPECT_EQ(sent("video", "/a"), "video/mp4");
  EXPECT_EQ(sent("audio", "/a"), "audio/mpeg");
  EXPECT_EQ(sent("empty", "/a"), "application/octet-stream");
  EXPECT_EQ(sent("audio", "/a.ts"), "video/mp2t");
}

TEST(RelayedHeadTest, AHeadHasTheTypeOfItsNameAndA304None) {
  const auto head = [](int status, const char* type, const char* path) {
    return relayed({.status = status,
                    .fields = {{"Content-Type", type}},
                    .path = path,
                    .framing = {ClientFraming::Kind::none, 0}})["Content-Type"];
  };
  EXPECT_EQ(head(200, "text/html", "/a.ts"), "video/mp2t");
  EXPECT_EQ(head(200, "text/html", "/a"), "text/plain");
  EXPECT_EQ(head(200, "application/octet-stream", "/a"), "application/octet-stream");
  EXPECT_EQ(head(404, "text/html", "/a.ts"), "text/plain");
  EXPECT_EQ(head(304, "text/html", "/a.ts"), "-");
}

TEST(RelayedHeadTest, TheOutcomeOfTheCacheIsNamed) {
  EXPECT_EQ(relayed({.cache_outcome = "hit"})["X-Streamgate-Cache"], "hit");
  EXPECT_EQ(relayed({})["X-Streamgate-Cache"], "-");
}

TEST(RelayedHeadTest, DateIsAddedIfTheUpstreamSentNone) {
  for (const bool playlist : {false, true}) {
    EXPECT_EQ(relayed({.is_rewritten = playlist})["Date"], http_date());
    EXPECT_EQ(relayed({.fields = {{"Date", "d"}}, .is_rewritten = playlist})["Date"], "d");
  }
  EXPECT_EQ(relayed({.fields = {{"Date", "d"}, {"Connection", "date"}}})["Date"], http_date());
}

TEST(RelayedHeadTest, EveryStatusHasAReasonPhrase) {
  EXPECT_EQ(relayed({.status = 416}).first_line, "HTTP/1.1 416 Range Not Satisfiable");
  EXPECT_EQ(relayed({.status = 599}).first_line, "HTTP/1.1 599 Unknown");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(508), "Loop Detected");
  EXPECT_EQ(reason_phrase(1000), "Unknown");
}

}  // namespace
}  // namespace streamgate
