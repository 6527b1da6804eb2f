#include "worker/http/response_parser.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/unit/corpus_index.h"
#include "worker/http/chunk_decoder.h"

namespace streamgate {
namespace {

using testing_corpus::Row;
using ItemKind = ResponseParser::ItemKind;

// The result of parsing one response.
struct Outcome {
  std::string head;  // status, framing, lengths and fields as text; empty: no head
  std::string body;
  std::string end;  // "end", the reason of the failure, or "need_more"
  bool keep_alive = false;
  bool ended_by_close = false;

  bool operator==(const Outcome& other) const {
    return head == other.head && body == other.body && end == other.end;
  }
};

std::string describe(const ResponseHead& head) {
  std::string text = std::to_string(head.status) + " 1." + std::to_string(head.minor_version);
  text += " framing " + std::to_string(static_cast<int>(head.framing)) + " " +
          std::to_string(head.content_length);
  if (head.declared_length) text += " declared " + std::to_string(*head.declared_length);
  for (const auto& [name, value] : head.fields) {
    text += "\n" + std::string(name) + "=" + std::string(value);
  }
  return text;
}

// Takes items until the parser wants more bytes, ends or fails. True if it wants more.
bool pull(ResponseParser& parser, std::string_view& bytes, Outcome& outcome) {
  while (true) {
    const auto item = parser.next(bytes);
    if (!item) {
      outcome.end = token_of(item.error().reason);
      return false;
    }
    switch (item->kind) {
      case ItemKind::need_more:
        EXPECT_TRUE(bytes.empty());
        return true;
      case ItemKind::head:
        EXPECT_EQ(outcome.head, "");
        outcome.head = describe(parser.head());
        break;
      case ItemKind::body:
        EXPECT_FALSE(item->body.empty());
        outcome.body += item->body;
        break;
      case ItemKind::end:
        outcome.end = "end";
        return false;
    }
  }
}

// Parses the bytes split at `cuts`, each piece at another place in memory, then closes.
Outcome outcome_of(const std::string& bytes, const std::vector<size_t>& cuts, Method method) {
  ResponseParser parser;
  parser.reset(method);
  Outcome outcome;
  std::vector<size_t> ends = cuts;
  ends.push_back(bytes.size());
  size_t begin = 0;
  bool wants_more = true;
  for (const size_t end : ends) {
    const std::string piece = bytes.substr(begin, end - begin);
    begin = end;
    std::string_view left = piece;
    wants_more = pull(parser, left, outcome);
    if (!wants_more) break;
  }
  if (wants_more) {
    const auto item = parser.finish();
    outcome.end = item ? "end" : std::string(token_of(item.error().reason));
    outcome.ended_by_close = true;
  }
  if (!outcome.head.empty()) {
    EXPECT_EQ(describe(parser.head()), outcome.head) << "views must outlive the body";
    outcome.keep_alive = parser.head().keep_alive;
  }
  return outcome;
}

// The outcome, checked to be the same at every split of the bytes.
Outcome outcome_of(const std::string& bytes, Method method = Method::get) {
  Outcome whole = outcome_of(bytes, {}, method);
  const size_t step = bytes.size() > 20'000 ? bytes.size() / 97 : 1;
  std::vector<size_t> every;
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    every.push_back(cut);
    if (cut % step != 0) continue;
    const bool same = outcome_of(bytes, {cut}, method) == whole;
    EXPECT_TRUE(same) << "split at " << cut << " of " << bytes.substr(0, 200);
    if (!same) return whole;
  }
  EXPECT_TRUE(outcome_of(bytes, every, method) == whole) << "byte by byte " << bytes.substr(0, 200);
  return whole;
}

std::string end_of(const std::string& bytes) { return outcome_of(bytes).end; }
std::string body_of_chunks(const std::string& chunks) {
  const Outcome outcome =
      outcome_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
  return outcome.end == "end" ? outcome.body : outcome.end;
}
std::string end_of_fields(const std::string& fields) {
  return end_of("HTTP/1.1 200 OK\r\n" + fields + "\r\n");
}

TEST(ResponseParserTest, ParsesABodyOfKnownLength) {
  const Outcome outcome =
      outcome_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \t y \r\n\r\nhello");
  EXPECT_EQ(outcome.head, "200 1.1 framing 1 5 declared 5\nContent-Length=5\nX=y");
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_EQ(outcome.end, "end");
  EXPECT_TRUE(outcome.keep_alive);
  EXPECT_FALSE(outcome.ended_by_close);
  EXPECT_EQ(end_of("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "end");
}

TEST(ResponseParserTest, ParsesChunks) {
  EXPECT_EQ(body_of_chunks("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"), "hello!");
  EXPECT_EQ(body_of_chunks("00a;x=\"; \\\" \";y\r\n0123456789\r\n000\r\nA: b\r\nC:\r\n\r\n"),
            "0123456789");
  EXPECT_EQ(body_of_chunks("1 \t\r\na\r\n0;\r\n\r\n"), "a");
}

TEST(ResponseParserTest, RefusesInvalidChunks) {
  for (const char* chunks : {"\r\n",
                             "x\r\n",
                             "-1\r\na\r\n0\r\n\r\n",
                             "+1\r\na\r\n0\r\n\r\n",
                             "0x1\r\na\r\n0\r\n\r\n",
                             "1\na\r\n0\r\n\r\n",
                             "1\r\na\n0\r\n\r\n",
                             "1\r\nab\r\n0\r\n\r\n",
                             "1 x\r\na\r\n0\r\n\r\n",
                             "10000000000000001\r\na\r\n0\r\n\r\n",
                             "1\r\na\r\n0\r\n\n",
                             "1\r\na\r\n0\n\r\n",
                             "1;x=\"\r\na\r\n0\r\n\r\n",
                             "1;\x01\r\na\r\n0\r\n\r\n",
                             "1;a\rb\r\na\r\n0\r\n\r\n",
                             "1\r\na\r\n0\r\n folded\r\n\r\n",
                             "1\r\na\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n",
                             "1\r\na\r\n0\r\n:\r\n\r\n",
                             "1_0\r\na\r\n0\r\n\r\n",
                             " 1\r\na\r\n0\r\n\r\n"}) {
    EXPECT_EQ(body_of_chunks(chunks), "bad_response") << chunks;
  }
}

TEST(ResponseParserTest, AnUnfinishedBodyIsNeverComplete) {
  EXPECT_EQ(body_of_chunks("5\r\nhel"), "truncated_body");
  EXPECT_EQ(body_of_chunks("5\r\nhello\r\n"), "truncated_body");
  EXPECT_EQ(body_of_chunks("5\r\nhello\r\n0\r\n"), "truncated_body");
  EXPECT_EQ(body_of_chunks("5\r\nhello\r\n0\r\n\r"), "truncated_body");
  EXPECT_EQ(end_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"), "truncated_body");
  EXPECT_EQ(end_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), "bad_response");
  EXPECT_EQ(end_of(""), "bad_response");
}

TEST(ResponseParserTest, LimitsExtensionsAndTrailersTogether) {
  const std::string ext(8000, 'x');
  EXPECT_EQ(body_of_chunks("1;" + ext + "\r\na\r\n0\r\nT: " + ext + "\r\n\r\n"), "a");
  EXPECT_EQ(body_of_chunks("1;" + ext + "\r\na\r\n1;" + ext + "\r\nb\r\n0;" + ext + "\r\n\r\n"),
            "bad_response");
  EXPECT_EQ(body_of_chunks("0\r\nT: " + ext + ext + ext + "\r\n\r\n"), "bad_response");
}

TEST(ResponseParserTest, ReadsUntilCloseWithoutFraming) {
  const Outcome outcome = outcome_of("HTTP/1.1 200\r\n\r\nall there is");
  EXPECT_EQ(outcome.body, "all there is");
  EXPECT_EQ(outcome.end, "end");
  EXPECT_TRUE(outcome.ended_by_close);
  EXPECT_FALSE(outcome.keep_alive);
}

TEST(ResponseParserTest, HeadRequestsAnd204And304HaveNoBody) {
  for (const char* status : {"204", "304"}) {
    const Outcome outcome = outcome_of("HTTP/1.1 " + std::string(status) + " X\r\n\r\n");
    EXPECT_EQ(outcome.end, "end");
    EXPECT_TRUE(outcome.keep_alive);
    EXPECT_FALSE(outcome.ended_by_close);
  }
  const Outcome head = outcome_of("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Method::head);
  EXPECT_EQ(head.head, "200 1.1 framing 0 0 declared 7\nContent-Length=7");
  EXPECT_EQ(head.end, "end");
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(outcome_of("HTTP/1.1 204 X\r\nContent-Length: 7\r\n\r\n").keep_alive);
}

TEST(ResponseParserTest, SurplusBytesAreLeftAndEndKeepAlive) {
  ResponseParser parser;
  for (const Method method : {Method::get, Method::head}) {
    parser.reset(method);
    Outcome outcome;
    const std::string bytes = method == Method::head
                                  ? "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsurplus"
                                  : "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nasurplus";
    std::string_view left = bytes;
    EXPECT_FALSE(pull(parser, left, outcome));
    EXPECT_EQ(outcome.end, "end");
    EXPECT_EQ(left, "surplus");
    EXPECT_FALSE(parser.head().keep_alive);
  }
}

TEST(ResponseParserTest, SwallowsUpToEightInterimHeads) {
  const std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n\r\n";
  std::string eight;
  for (int i = 0; i < 8; ++i) eight += interim;
  const std::string final_answer = "HTTP/1.1 204 No\r\nA: b\r\n\r\n";
  EXPECT_EQ(outcome_of(eight + final_answer).head, "204 1.1 framing 0 0\nA=b");
  EXPECT_TRUE(outcome_of(eight + final_answer).keep_alive);
  EXPECT_FALSE(outcome_of("HTTP/1.1 103 x\r\nLink : x\r\n\r\n" + final_answer).keep_alive);
  EXPECT_EQ(outcome_of(eight + interim + final_answer).end, "bad_response");
  EXPECT_EQ(end_of("HTTP/1.1 100 C\r\n\r\n\r\n" + final_answer), "end");
  EXPECT_EQ(end_of("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), "bad_response");
  EXPECT_EQ(end_of(interim), "bad_response");
}

TEST(ResponseParserTest, RequiresAValidStatusLine) {
  for (const char* line : {"HTTP/1.1 200 OK", "HTTP/1.0 200", "HTTP/1.1 200 ", "HTTP/1.1 599  x y",
                           "HTTP/1.1 500 Ori\xebnt", "HTTP/1.1 608 x", "HTTP/1.1 999", "ICY 200 OK",
                           "ICY 200", "HTTP/1.1  200", "HTTP/1.2 200 OK", "HTTP/2.0 200 OK",
                           "HTTP/2 200", "HTTP/0.9 200", "icy 200 OK", "http/1.1 200 OK"}) {
    EXPECT_EQ(end_of(std::string(line) + "\r\n\r\n"), "end") << line;
  }
  for (const char* line : {"HTTP/1.1",         "HTTP/1.1 ",         "HTTP/1.1 20",
                           "HTTP/1.1 2000",    "HTTP/1.1 200X",     "HTTP/1.1  OK",
                           "HTTP/1.1\t200",    "HTTP/1. 200 OK",    "HTTP/1.2z 200",
                           "HTTP/1.10 200 OK", "HTTP/01.1 200 OK",  "HTTP/1.1 099 x",
                           "HTTP/ 200 OK",     "HTTP/11 200 OK",    "HTTP/x 200 OK",
                           "HTTP/1.1 1000 x",  "HTTP/1.1 -20 x",    "ICY 20",
                           "RTSP/1.1 200 OK",  "ICY  200 OK",       "ICY/1.0 200 OK",
                           "ICY 099 OK",       "HTTP 200 OK",       "HTTP/1.1200 OK",
                           " HTTP/1.1 200 OK", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 OK\r"}) {
    EXPECT_EQ(end_of(std::string(line) + "\r\n\r\n"), "bad_response") << line;
  }
}

TEST(ResponseParserTest, RefusesOtherProtocolsAtTheFirstBytes) {
  for (const char* begun : {"ICZ", "\x15\x03\x01", "HTTPS", "<html>", "\rH"}) {
    ResponseParser parser;
    parser.reset(Method::get);
    std::string_view bytes = begun;
    EXPECT_FALSE(parser.next(bytes)) << begun;
  }
}

TEST(ResponseParserTest, ToleratesLeadingEmptyLinesAndBareLf) {
  EXPECT_EQ(end_of("\r\n\nHTTP/1.1 204 x\r\n\r\n"), "end");
  EXPECT_EQ(end_of("\r\n\r\n\r\nHTTP/1.1 204 x\r\n\r\n"), "bad_response");
  EXPECT_EQ(outcome_of("HTTP/1.1 200 OK\nA: b\nContent-Length: 1\n\nx").head,
            "200 1.1 framing 1 1 declared 1\nA=b\nContent-Length=1");
}

TEST(ResponseParserTest, RefusesMalformedFields) {
  for (const char* field : {"no colon\r\n", ": x\r\n", " : x\r\n", " A: x\r\n", "A B: x\r\n",
                            "A\x01: x\r\n", "A: x\ry\r\n", "A: x\r\r\n"}) {
    EXPECT_EQ(end_of_fields(field), "bad_response") << field;
  }
  EXPECT_EQ(end_of_fields(std::string("A: x\0y\r\n", 8)), "bad_response");
}

TEST(ResponseParserTest, ReadsFieldsAsPlayersDo) {
  const std::string begun = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
  for (const auto& [fields, expected] : std::vector<std::pair<std::string, std::string>>{
           {"A: x\r\n y\r\n\tz\r\n", "\nA=x   y  \tz"},
           {"A:\n x\n", "\nA=x"},
           {"A : x\r\nB\t: y\r\n", "\nA=x\nB=y"},
           {"A\xc3: x\r\nB[1]: y\r\n z\r\nC: w\r\n", "\nC=w"}}) {
    const Outcome outcome = outcome_of(begun + fields + "\r\n");
    EXPECT_EQ(outcome.head, "200 1.1 framing 1 0 declared 0\nContent-Length=0" + expected);
    EXPECT_EQ(outcome.end, "end");
    EXPECT_FALSE(outcome.keep_alive) << "another parser may read it differently";
  }
  EXPECT_EQ(outcome_of("HTTP/1.1 200 OK\r\nTransfer-Encoding :\r\n chunked\r\n\r\n0\r\n\r\n").end,
            "end");
}

TEST(ResponseParserTest, RefusesAmbiguousFraming) {
  for (const char* fields : {"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                             "Content-Length: 1\r\nContent-Length: 2\r\n",
                             "Content-Length: 1, 2\r\n",
                             "Content-Length: 1,\r\n",
                             "Content-Length:\r\n",
                             "Content-Length: +1\r\n",
                             "Content-Length: -1\r\n",
                             "Content-Length: 1 1\r\n",
                             "Content-Length: 1\r\n 1\r\n",
                             "Content-Length : 1\r\nContent-Length: 2\r\n",
                             "Content-Length: 9223372036854775808\r\n",
                             "Content-Length: 18446744073709551621\r\n",
                             "Transfer-Encoding: gzip, chunked\r\n",
                             "Transfer-Encoding: gzip\r\n",
                             "Transfer-Encoding: chunkedchunked\r\n",
                             "Transfer-Encoding: chunked, chunked\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding:\r\n",
                             "Transfer-Encoding: identity\r\nTransfer-Encoding: identity\r\n",
                             "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                             "Transfer-Encoding: identity, chunked\r\n"}) {
    EXPECT_EQ(end_of_fields(fields), "bad_response") << fields;
  }
  EXPECT_EQ(end_of("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nok"),
            "end");
}

TEST(ResponseParserTest, IgnoresTheTransferCodingIdentity) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Identity\r\n";
  const Outcome sized = outcome_of(head + "Content-Length: 2\r\n\r\nok");
  EXPECT_EQ(sized.body + " " + sized.end, "ok end");
  EXPECT_FALSE(sized.ended_by_close);
  EXPECT_FALSE(sized.keep_alive);
  const Outcome closed = outcome_of(head + "\r\nok");
  EXPECT_EQ(closed.body + " " + closed.end, "ok end");
  EXPECT_TRUE(closed.ended_by_close);
}

TEST(ResponseParserTest, ReadsIcyAsHttp10) {
  const Outcome radio =
      outcome_of("ICY 200 OK\r\nicy-name:A B\r\ncontent-type:audio/mpeg\r\n\r\nmp3");
  EXPECT_EQ(radio.head, "200 1.0 framing 3 0\nicy-name=A B\ncontent-type=audio/mpeg");
  EXPECT_EQ(radio.body, "mp3");
  EXPECT_FALSE(radio.keep_alive);
}

TEST(ResponseParserTest, LimitsTheHead) {
  std::string fields;
  for (int i = 0; i < 1000; ++i) fields += "A: b\r\n";
  const auto end_of_whole = [](const std::string& head) {
    return outcome_of("HTTP/1.1 204 x\r\n" + head + "\r\n", {7}, Method::get).end;
  };
  EXPECT_EQ(end_of_whole(fields), "end");
  EXPECT_EQ(end_of_whole(fields + "A: b\r\n"), "bad_response");
  const auto of_size = [](size_t size) {
    const std::string begun = "HTTP/1.1 204 x\r\nA: ";
    return outcome_of(begun + std::string(size - begun.size() - 4, 'a') + "\r\n\r\n", {7},
                      Method::get)
        .end;
  };
  EXPECT_EQ(of_size(131072), "end");
  EXPECT_EQ(of_size(131073), "bad_response");
  EXPECT_EQ(of_size(200000), "bad_response");
}

TEST(ResponseParserTest, ReadsKeepAliveFromVersionAndConnection) {
  const auto keeps = [](const std::string& version, const std::string& fields) {
    return outcome_of("HTTP/1." + version + " 200 OK\r\nContent-Length: 0\r\n" + fields + "\r\n")
        .keep_alive;
  };
  EXPECT_TRUE(keeps("1", ""));
  EXPECT_FALSE(keeps("1", "Connection: x, Close\r\n"));
  EXPECT_FALSE(keeps("0", ""));
  EXPECT_TRUE(keeps("0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(outcome_of("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: "
                          "keep-alive\r\n\r\n0\r\n\r\n")
                   .keep_alive);
}

TEST(ResponseParserTest, LetsTheCallerTakeRawBodyBytes) {
  ResponseParser parser;
  parser.reset(Method::get);
  EXPECT_TRUE(parser.untouched());
  EXPECT_EQ(parser.raw_body_left(), 0U);
  std::string_view bytes = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc";
  ASSERT_EQ(parser.next(bytes)->kind, ItemKind::head);
  EXPECT_FALSE(parser.untouched());
  EXPECT_EQ(parser.raw_body_left(), 100U);
  EXPECT_EQ(parser.next(bytes)->body, "abc");
  EXPECT_EQ(parser.raw_body_left(), 97U);
  parser.skip_body(90);
  EXPECT_EQ(parser.next(bytes)->kind, ItemKind::need_more);
  parser.skip_body(7);
  EXPECT_EQ(parser.raw_body_left(), 0U);
  EXPECT_EQ(parser.next(bytes)->kind, ItemKind::end);
  EXPECT_TRUE(parser.head().keep_alive);

  parser.reset(Method::get);
  EXPECT_TRUE(parser.untouched());
  bytes = "HTTP/1.1 200 OK\r\n\r\n";
  ASSERT_EQ(parser.next(bytes)->kind, ItemKind::head);
  EXPECT_EQ(parser.raw_body_left(), std::numeric_limits<uint64_t>::max());
  parser.skip_body(1'000'000);
  EXPECT_EQ(parser.finish()->kind, ItemKind::end);
}

TEST(ResponseParserTest, RepeatsTheFailure) {
  ResponseParser parser;
  parser.reset(Method::get);
  std::string_view bytes = "garbage";
  EXPECT_FALSE(parser.next(bytes));
  bytes = "HTTP/1.1 200 OK\r\n\r\n";
  EXPECT_FALSE(parser.next(bytes));
  EXPECT_FALSE(parser.finish());
}

// Every upstream answer of a corpus has the outcome that the index gives, at every split.
void check_answers(const std::string& corpus) {
  const std::vector<Row> rows = testing_corpus::read_index(corpus, "upstream");
  for (const Row& row : rows) {
    SCOPED_TRACE(row.at("file"));
    const std::string& expectation = row.at("expectation");
    const Outcome outcome =
        outcome_of(row.at("bytes"), row.at("method") == "HEAD" ? Method::head : Method::get);
    const bool relayed = !outcome.head.empty() && outcome.end == "end";
    if (expectation == "relay") {
      EXPECT_TRUE(relayed);
    } else if (expectation == "relay-first") {
      EXPECT_TRUE(relayed);
      EXPECT_FALSE(outcome.ended_by_close);
      EXPECT_FALSE(outcome.keep_alive);
    } else if (expectation == "relay-until-eof") {
      EXPECT_TRUE(relayed);
      EXPECT_TRUE(outcome.ended_by_close);
    } else if (expectation == "abort") {
      EXPECT_FALSE(outcome.head.empty());
      EXPECT_NE(outcome.end, "end");
    } else if (expectation == "502") {
      EXPECT_EQ(outcome.head, "");
      EXPECT_EQ(outcome.end, "bad_response");
    } else if (expectation == "abort-or-502") {
      EXPECT_NE(outcome.end, "end");
    } else {
      EXPECT_EQ(expectation, "relay-or-502");
    }
  }
  EXPECT_GT(rows.size(), 0U);
}

TEST(ResponseParserTest, MeetsEveryExpectationOfTheOwnCorpus) {
  check_answers(testing_corpus::kOwnCorpus);
}

TEST(ResponseParserTest, MeetsEveryExpectationOfTheExternalCorpus) {
  const std::string corpus = testing_corpus::external_corpus();
  if (corpus.empty()) GTEST_SKIP() << testing_corpus::kNoExternalCorpus;
  check_answers(corpus);
}

}  // namespace
}  // namespace streamgate
