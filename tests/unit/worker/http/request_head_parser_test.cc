#include "worker/http/request_head_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/corpus_index.h"

namespace streamgate {
namespace {

using testing_corpus::Row;

// The outcome of a head and all its fields, as text.
std::string describe(const RequestHeadParser& parser, const Result<size_t>& outcome) {
  if (!outcome) return "refuse " + std::string(token_of(outcome.error().reason));
  if (*outcome == 0) return parser.started() ? "wait" : "idle";
  const RequestHead& head = parser.head();
  std::string text = "accept " + std::to_string(*outcome) + " ";
  text += std::to_string(static_cast<int>(head.method)) + " " + std::string(head.target);
  text += " 1." + std::to_string(head.minor_version) + (head.keep_alive ? " keep" : " close");
  for (const auto& [name, value] : head.fields) {
    text += "\n" + std::string(name) + "=" + std::string(value);
  }
  return text;
}

// Parses growing prefixes that end at `cuts` and at the end, each at another place in memory, until
// the first one that is accepted or refused.
std::string outcome_of(const std::string& bytes, const std::vector<size_t>& cuts,
                       const LimitsConfig& limits) {
  RequestHeadParser parser(limits);
  std::vector<size_t> ends = cuts;
  ends.push_back(bytes.size());
  std::string last;
  for (const size_t end : ends) {
    const std::string received = bytes.substr(0, end);
    const auto outcome = parser.parse(received);
    last = describe(parser, outcome);
    if (!outcome || *outcome > 0) return last;
  }
  return last;
}

// The outcome, checked to be the same at every split of the bytes.
std::string outcome_of(const std::string& bytes, const LimitsConfig& limits = {}) {
  const std::string whole = outcome_of(bytes, {}, limits);
  std::vector<size_t> every;
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    every.push_back(cut);
    const std::string split = outcome_of(bytes, {cut}, limits);
    EXPECT_EQ(split, whole) << "split at " << cut << " of " << bytes.substr(0, 200);
    if (split != whole) return whole;
  }
  EXPECT_EQ(outcome_of(bytes, every, limits), whole) << "byte by byte " << bytes.substr(0, 200);
  return whole;
}

std::string refused(Reason reason) { return "refuse " + std::string(token_of(reason)); }

// The outcome of a request line or of fields in an otherwise valid head.
std::string of_line(const std::string& line) { return outcome_of(line + "\r\nHost: a\r\n\r\n"); }
std::string of_fields(const std::string& fields, const std::string& line = "GET / HTTP/1.1") {
  return outcome_of(line + "\r\nHost: a\r\n" + fields + "\r\n");
}
bool accepted(const std::string& outcome) { return outcome.starts_with("accept"); }

TEST(RequestHeadParserTest, ReturnsTheHeadAndItsSize) {
  EXPECT_EQ(
      outcome_of("GET /stream?url=x HTTP/1.1\r\nHost: a.b:80\r\nX-Y: \t1 2 \r\nE:\r\n\r\nGET"),
      "accept 60 0 /stream?url=x 1.1 keep\nHost=a.b:80\nX-Y=1 2\nE=");
  EXPECT_TRUE(accepted(of_line("HEAD / HTTP/1.1")));
  EXPECT_TRUE(accepted(of_line("OPTIONS * HTTP/1.1")));
}

TEST(RequestHeadParserTest, ParsesPipelinedRequestsOneByOne) {
  const LimitsConfig limits;
  RequestHeadParser parser(limits);
  const std::string first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string both = first + "HEAD /22 HTTP/1.0\r\n\r\n";
  ASSERT_EQ(parser.parse(both).value(), first.size());
  EXPECT_EQ(parser.head().target, "/1");
  parser.reset();
  EXPECT_FALSE(parser.started());
  ASSERT_EQ(parser.parse(std::string_view(both).substr(first.size())).value(),
            both.size() - first.size());
  EXPECT_EQ(parser.head().target, "/22");
  EXPECT_EQ(parser.head().method, Method::head);
  EXPECT_TRUE(parser.head().fields.empty());
  EXPECT_FALSE(parser.head().keep_alive);
}

TEST(RequestHeadParserTest, WaitsForTheRestOfTheHead) {
  EXPECT_EQ(outcome_of(""), "idle");
  EXPECT_EQ(outcome_of("\r\n\r\n"), "idle");
  EXPECT_EQ(outcome_of("G"), "wait");
  EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\nHost: a\r\n\r"), "wait");
}

TEST(RequestHeadParserTest, SkipsAtMostTwoEmptyLinesInFront) {
  EXPECT_EQ(outcome_of("\r\n\r\nGET / HTTP/1.0\r\n\r\n"), "accept 22 0 / 1.0 close");
  EXPECT_EQ(outcome_of("\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"), refused(Reason::bad_request));
  EXPECT_EQ(outcome_of("\nGET / HTTP/1.0\r\n\r\n"), refused(Reason::bad_request));
  EXPECT_EQ(outcome_of("\rGET / HTTP/1.0\r\n\r\n"), refused(Reason::bad_request));
}

TEST(RequestHeadParserTest, RefusesAtTheFirstInvalidByte) {
  for (const char* begun :
       {"\x16\x03\x01", " ", "GET\t", "GET /\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\rX",
        "GET /\x7f", "GET / HTTP/1.1\r\nHost: a\nb", "GET / HTTP/1.1\r\n folded\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n"}) {
    EXPECT_EQ(outcome_of(begun), refused(Reason::bad_request)) << begun;
  }
  EXPECT_EQ(outcome_of(std::string("G\0", 2)), refused(Reason::bad_request));
  EXPECT_EQ(outcome_of("POST / HTTP/1.1\r\n"), refused(Reason::method_not_allowed));
}

TEST(RequestHeadParserTest, DistinguishesRefusedFromUnknownMethods) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE"}) {
    EXPECT_EQ(of_line(std::string(method) + " / HTTP/1.1"), refused(Reason::method_not_allowed));
  }
  EXPECT_EQ(of_line("CONNECT a:443 HTTP/1.1"), refused(Reason::method_not_allowed));
  for (const char* method : {"BREW", "get", "GETX", "-"}) {
    EXPECT_EQ(of_line(std::string(method) + " / HTTP/1.1"), refused(Reason::not_implemented));
  }
  EXPECT_EQ(of_line("G:T / HTTP/1.1"), refused(Reason::bad_request));
}

TEST(RequestHeadParserTest, RequiresThreePartsAndSingleBlanks) {
  for (const char* line :
       {"GET", "GET ", "GET /", "GET / ", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ",
        " GET / HTTP/1.1", "GET /a b HTTP/1.1", "GET  HTTP/1.1"}) {
    EXPECT_EQ(of_line(line), refused(Reason::bad_request)) << line;
  }
}

TEST(RequestHeadParserTest, DistinguishesUnknownFromMalformedVersions) {
  for (const char* version : {"HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/9.9"}) {
    EXPECT_EQ(of_line(std::string("GET / ") + version), refused(Reason::version_not_supported));
  }
  EXPECT_EQ(outcome_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), refused(Reason::version_not_supported));
  for (const char* version : {"HTTP/1.10", "HTTP/257.1", "http/1.1", "HTTP/1,1", "HTTP/11",
                              "FTP/1.1", "HTTP/1.", "HTTP/1.x"}) {
    EXPECT_EQ(of_line(std::string("GET / ") + version), refused(Reason::bad_request)) << version;
  }
}

TEST(RequestHeadParserTest, ReducesAbsoluteFormToItsPath) {
  EXPECT_TRUE(of_line("GET http://x.y:1/p?q HTTP/1.1").find(" /p?q 1.1") != std::string::npos);
  EXPECT_TRUE(of_line("GET HTTPS://[::1]:8080/p HTTP/1.1").find(" /p 1.1") != std::string::npos);
  EXPECT_TRUE(of_line("GET http://x HTTP/1.1").find(" / 1.1") != std::string::npos);
  EXPECT_TRUE(of_line("GET http://x?q/ HTTP/1.1").find(" /?q/ 1.1") != std::string::npos);
}

TEST(RequestHeadParserTest, RefusesOtherFormsOfTarget) {
  for (const char* target :
       {"*", "a", "a:443", "?x", "http://", "http:///p", "http://u@h/p", "http://u:p@h/p",
        "ftp://h/p", "/a#b", "http://h:x/", "\xc3\xa9", "http://\xc3\xa9/"}) {
    EXPECT_EQ(of_line("GET " + std::string(target) + " HTTP/1.1"), refused(Reason::bad_request))
        << target;
  }
}

TEST(RequestHeadParserTest, EncodesUtf8InTheTarget) {
  for (const char* line :
       {"GET /\xc3\xa9?\xff=%20 HTTP/1.1", "GET http://x/\xc3\xa9?\xff=%20 HTTP/1.1"}) {
    EXPECT_TRUE(of_line(line).find(" /%C3%A9?%FF=%20 1.1") != std::string::npos) << line;
  }
  EXPECT_EQ(of_line("G\xc3\xa9T / HTTP/1.1"), refused(Reason::bad_request));
  EXPECT_EQ(of_line("GET / HTTP/1.1\xc3\xa9"), refused(Reason::bad_request));
}

TEST(RequestHeadParserTest, MakesOneOfSeveralSlashesAtTheBeginning) {
  for (const char* target : {"//a//b", "////a//b", "http://x///a//b"}) {
    const std::string outcome = of_line("GET " + std::string(target) + " HTTP/1.1");
    EXPECT_TRUE(outcome.find(" /a//b 1.1") != std::string::npos) << outcome;
  }
}

TEST(RequestHeadParserTest, RequiresExactlyOneValidHostInHttp11) {
  EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\n\r\n"), refused(Reason::bad_request));
  EXPECT_TRUE(accepted(outcome_of("GET / HTTP/1.0\r\n\r\n")));
  for (const char* host : {"a", "a.b:80", "[::1]", "[::1]:80", "0.0.0.0=5000", "x_y", "a:"}) {
    EXPECT_TRUE(accepted(outcome_of("GET / HTTP/1.1\r\nhOST:" + std::string(host) + "\r\n\r\n")))
        << host;
  }
  for (const char* host : {"", "a b", "a/b", "u@h", "a:x", "a:123456", "[::1", "[]", "[::1]x",
                           ":80", "a,b/", "\"a\"", "a\\b", "[g::1]"}) {
    EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"),
              refused(Reason::bad_request))
        << host;
  }
  for (const char* version : {"0", "1"}) {
    EXPECT_EQ(outcome_of("GET / HTTP/1." + std::string(version) + "\r\nHost: a\r\nHost: a\r\n\r\n"),
              refused(Reason::bad_request));
  }
}

TEST(RequestHeadParserTest, RefusesAmbiguousFieldLines) {
  for (const char* field : {"X : y\r\n", " X: y\r\n", "X: y\r\n folded\r\n", "X: y\r\n\tfolded\r\n",
                            ":y\r\n", "X\r\n", "X[]: y\r\n", "X\xc3\x9f: y\r\n", "X: a\x07\r\n",
                            "X: a\x7f\r\n", "X: a\rb\r\n", "X: a\n", "X: a\r\r\n"}) {
    EXPECT_EQ(of_fields(field), refused(Reason::bad_request)) << field;
  }
  EXPECT_EQ(of_fields(std::string("X: a\0b\r\n", 8)), refused(Reason::bad_request));
  EXPECT_EQ(of_fields(std::string("X\0: b\r\n", 7)), refused(Reason::bad_request));
  EXPECT_TRUE(accepted(of_fields("X.|~: caf\xc3\xa9\r\n")));
}

TEST(RequestHeadParserTest, RefusesBodiesOfAnyKind) {
  EXPECT_TRUE(accepted(of_fields("Content-Length: 0\r\n")));
  EXPECT_EQ(of_fields("Content-Length: 0\r\n").find("Content-Length"), std::string::npos);
  EXPECT_EQ(of_fields("content-length: 5\r\n"), refused(Reason::body_not_accepted));
  EXPECT_EQ(of_fields("Content-Length: 99999999999999999999999\r\n"),
            refused(Reason::body_not_accepted));
  EXPECT_EQ(of_fields("Transfer-Encoding: chunked\r\n"), refused(Reason::not_implemented));
  EXPECT_EQ(of_fields("TRANSFER-ENCODING:\r\n"), refused(Reason::not_implemented));
  for (const char* length : {"", "-1", "+1", "-0", "0_1", "0 1", "5, 5", "0x0", "a"}) {
    EXPECT_EQ(of_fields("Content-Length: " + std::string(length) + "\r\n"),
              refused(Reason::bad_request))
        << length;
  }
  EXPECT_EQ(of_fields("Content-Length: 3\r\nContent-Length: 2\r\n"), refused(Reason::bad_request));
  EXPECT_EQ(of_fields("Content-Length: 0\r\nTransfer-Encoding: x\r\n"),
            refused(Reason::bad_request));
  EXPECT_EQ(of_fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            refused(Reason::bad_request));
}

// `accept` with the body, `wait`, or `refuse` with the reason, at every split of the bytes.
std::string of_post(const std::string& fields, const std::string& body) {
  const LimitsConfig limits;
  const std::string bytes = "POST /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
  std::string last;
  for (size_t cut = 0; cut <= std::min(bytes.size(), size_t{200}); ++cut) {
    RequestHeadParser parser(limits, RequestHeadParser::Bodies::small);
    const std::string begun = bytes.substr(0, cut);
    auto outcome = parser.parse(begun);
    if (outcome && *outcome == 0) outcome = parser.parse(bytes);
    std::string text = "wait";
    if (!outcome) {
      text = refused(outcome.error().reason);
    } else if (*outcome > 0) {
      EXPECT_EQ(parser.head().method, Method::post);
      EXPECT_EQ(parser.head().target, "/x");
      text = "accept " + std::string(parser.head().body);
    }
    if (cut > 0) {
      EXPECT_EQ(text, last) << "split at " << cut;
    }
    last = text;
  }
  return last;
}

TEST(RequestHeadParserTest, ASmallBodyOfAPostIsPartOfTheRequestIfBodiesAreAccepted) {
  EXPECT_EQ(of_post("Content-Length: 5\r\n", "ab\r\nc"), "accept ab\r\nc");
  EXPECT_EQ(of_post("Content-Length: 5\r\n", "abcd"), "wait");
  EXPECT_EQ(of_post("", ""), "accept ");
  EXPECT_EQ(of_post("Content-Length: 16384\r\n", std::string(16'384, 'x')),
            "accept " + std::string(16'384, 'x'));
  EXPECT_EQ(of_post("Content-Length: 16385\r\n", ""), refused(Reason::body_not_accepted));
  EXPECT_EQ(of_post("Content-Length: 99999999999999999999999\r\n", ""),
            refused(Reason::body_not_accepted));
  EXPECT_EQ(of_post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"),
            refused(Reason::bad_request));
  EXPECT_EQ(of_post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "x"),
            refused(Reason::bad_request));
  EXPECT_EQ(of_post("Transfer-Encoding: chunked\r\n", "x"), refused(Reason::not_implemented));
}

TEST(RequestHeadParserTest, ARequestAfterABodyIsASecondOne) {
  const LimitsConfig limits;
  RequestHeadParser parser(limits, RequestHeadParser::Bodies::small);
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGET";
  const std::string get = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string both = post + get;
  EXPECT_EQ(*parser.parse(both), post.size());
  EXPECT_EQ(parser.head().body, "GET");
  parser.reset();
  EXPECT_EQ(*parser.parse(get), get.size());
  EXPECT_EQ(parser.head().method, Method::get);
  EXPECT_EQ(parser.head().body, "");
  parser.reset();
  EXPECT_FALSE(parser.parse("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"));
}

TEST(RequestHeadParserTest, AcceptsNoExpectationBut100Continue) {
  EXPECT_TRUE(accepted(of_fields("Expect: 100-Continue\r\n")));
  EXPECT_EQ(of_fields("Expect: 100-continue\r\n").find("Expect"), std::string::npos);
  EXPECT_EQ(of_fields("Expect: 200-ok\r\n"), refused(Reason::expectation_failed));
}

TEST(RequestHeadParserTest, ReadsKeepAliveFromVersionAndConnection) {
  const auto keeps = [](const std::string& fields, const std::string& line) {
    return of_fields(fields, line).find(" keep") != std::string::npos;
  };
  const std::string v10 = "GET / HTTP/1.0";
  const std::string v11 = "GET / HTTP/1.1";
  EXPECT_TRUE(keeps("", v11));
  EXPECT_FALSE(keeps("Connection: CLOSE\r\n", v11));
  EXPECT_FALSE(keeps("Connection: TE , close,\r\n", v11));
  EXPECT_FALSE(keeps("Connection: TE\r\nConnection: keep-alive, close\r\n", v11));
  EXPECT_TRUE(keeps("Connection: closed\r\n", v11));
  EXPECT_FALSE(keeps("", v10));
  EXPECT_TRUE(keeps("Connection: x,Keep-Alive\r\n", v10));
  EXPECT_FALSE(keeps("Connection: keep-alive\r\nConnection: close\r\n", v10));
}

TEST(RequestHeadParserTest, LimitsTheRequestLine) {
  LimitsConfig limits;
  limits.request_line = 20;
  limits.request_head = 60;
  const auto of_length = [&](size_t length, const std::string& after = "\r\n\r\n") {
    return outcome_of("GET /" + std::string(length - 14, 'a') + " HTTP/1.0" + after, limits);
  };
  EXPECT_TRUE(accepted(of_length(20)));
  EXPECT_EQ(of_length(21), refused(Reason::uri_too_long));
  EXPECT_EQ(of_length(200), refused(Reason::uri_too_long));
  EXPECT_EQ(of_length(20, "\rX"), refused(Reason::bad_request));
  EXPECT_EQ(of_length(21, "\n"), refused(Reason::uri_too_long));
  EXPECT_EQ(of_length(20, "\n"), refused(Reason::bad_request));
  EXPECT_EQ(outcome_of("GET /" + std::string(15, 'a') + "\x01", limits),
            refused(Reason::bad_request));
  EXPECT_EQ(outcome_of("GET /" + std::string(16, 'a') + "\x01", limits),
            refused(Reason::uri_too_long));
}

TEST(RequestHeadParserTest, LimitsTheHead) {
  LimitsConfig limits;
  limits.request_line = 20;
  limits.request_head = 60;
  const std::string begun = "GET / HTTP/1.0\r\n";  // 16 bytes
  const auto of_padding = [&](size_t length, const std::string& in_front = "") {
    return outcome_of(in_front + begun + "X: " + std::string(length, 'a') + "\r\n\r\n", limits);
  };
  EXPECT_TRUE(accepted(of_padding(37)));
  EXPECT_TRUE(accepted(of_padding(37, "\r\n\r\n")));
  EXPECT_EQ(of_padding(38), refused(Reason::header_too_large));
  EXPECT_EQ(of_padding(100), refused(Reason::header_too_large));

  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "A: b\r\n";
  EXPECT_TRUE(accepted(of_fields(fields)));  // and Host: 100
  EXPECT_EQ(of_fields(fields + "A: b\r\n"), refused(Reason::header_too_large));
}

TEST(RequestHeadParserTest, RepeatsTheRefusalUntilReset) {
  const LimitsConfig limits;
  RequestHeadParser parser(limits);
  EXPECT_FALSE(parser.parse("GET /\n"));
  const auto again = parser.parse("GET /\n HTTP/1.1\r\n\r\n");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, Reason::bad_request);
  parser.reset();
  EXPECT_TRUE(parser.parse("GET / HTTP/1.0\r\n\r\n"));
}

// Every request of a corpus has the outcome that the index gives, at every split.
void check_requests(const std::string& corpus) {
  const std::vector<Row> rows = testing_corpus::read_index(corpus, "requests");
  for (const Row& row : rows) {
    std::string expectation = testing_corpus::cell(row, "expectation_get_head_only_proxy");
    if (expectation.empty()) expectation = row.at("expectation");
    const std::string outcome = outcome_of(row.at("bytes"));
    const std::string verdict = outcome.substr(0, outcome.find_first_of(" \n"));
    if (expectation == "must-accept") {
      EXPECT_EQ(verdict, "accept") << row.at("file") << ": " << outcome;
    } else if (expectation == "must-reject" || expectation.starts_with("refuse-ok: 200")) {
      EXPECT_EQ(verdict, "refuse") << row.at("file") << ": " << outcome;
    } else if (expectation == "must-wait") {
      EXPECT_EQ(verdict, "wait") << row.at("file") << ": " << outcome;
    } else {
      EXPECT_NE(verdict, "") << row.at("file");
    }
  }
  EXPECT_GT(rows.size(), 0U);
}

TEST(RequestHeadParserTest, MeetsEveryExpectationOfTheOwnCorpus) {
  check_requests(testing_corpus::kOwnCorpus);
}

TEST(RequestHeadParserTest, MeetsEveryExpectationOfTheExternalCorpus) {
  const std::string corpus = testing_corpus::external_corpus();
  if (corpus.empty()) GTEST_SKIP() << testing_corpus::kNoExternalCorpus;
  check_requests(corpus);
}

}  // namespace
}  // namespace streamgate
