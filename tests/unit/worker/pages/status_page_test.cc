#include "worker/pages/status_page.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

ServiceSurvey with_stream(const char* upstream) {
  ServiceSurvey survey;
  survey.now_ms = 100'000;
  ServiceSurvey::Stream stream{};
  stream.facts.started_ms = 35'000;
  stream.facts.bytes = 3 * 1024 * 1024 / 2;
  stream.facts.upstream = FixedText<256>(upstream);
  survey.streams.push_back(stream);
  return survey;
}

TEST(StatusPage, EscapesTextsFromOutside) {
  const std::string page = write_status_page(with_stream("http://a/<b>&\"\x01"), "n0nce");
  EXPECT_NE(std::string::npos, page.find("http://a/&lt;b&gt;&amp;&quot;?"));
  EXPECT_EQ(std::string::npos, page.find("<b>"));
}

TEST(StatusPage, ShowsAgesAndSizesForPeople) {
  const std::string page = write_status_page(with_stream("http://a/"), "n0nce");
  EXPECT_NE(std::string::npos, page.find("<td>1:05 min</td>"));
  EXPECT_NE(std::string::npos, page.find("1.5 MiB"));
}

TEST(StatusPage, StyleScriptAndPolicyHaveTheSameNonce) {
  const std::string page = write_status_page({}, "n0nce");
  EXPECT_NE(std::string::npos, page.find("<style nonce=\"n0nce\">"));
  EXPECT_NE(std::string::npos, page.find("<script nonce=\"n0nce\">"));
  EXPECT_NE(std::string::npos, status_page_policy("n0nce").find("script-src 'nonce-n0nce'"));
}

}  // namespace
}  // namespace streamgate
