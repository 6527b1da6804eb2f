#include "worker/explain/verdict.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

Report report_with(int status, const std::string& kind) {
  Report report;
  report.hops.push_back({"http://h/"});
  report.hops.back().status = status;
  report.kind = kind;
  return report;
}

Report concluded(const ExplainedPlaylist& playlist) {
  Report report = report_with(200, "HLS " + playlist.type + " playlist");
  report.playlist = playlist;
  conclude_answer(true, {}, report);
  return report;
}

TEST(Verdict, AStatusOfTheUpstreamIsItsProblem) {
  for (const int status : {302, 401, 403, 404, 407, 416, 429, 451, 456, 500, 503, 999}) {
    Report report = report_with(status, "");
    conclude_answer(true, {}, report);
    EXPECT_EQ(report.verdict, Verdict::upstream_problem) << status;
    EXPECT_EQ(report.player_status, status);
    EXPECT_NE(report.summary.find(std::to_string(status)), std::string::npos);
    ASSERT_EQ(report.advice.size(), 1u) << status;
    EXPECT_NE(report.advice[0], "") << status;
  }
}

TEST(Verdict, TheSummarySaysThatTheUpstreamItselfRefuses) {
  for (const auto& [status, begin] :
       {std::pair(403, "The upstream itself refuses the request: "),
        std::pair(404, "The upstream itself does not have this URL: "),
        std::pair(410, "The upstream itself does not have this URL: "),
        std::pair(500, "The upstream answers with status ")}) {
    Report report = report_with(status, "");
    conclude_answer(true, {}, report);
    EXPECT_TRUE(report.summary.starts_with(begin)) << report.summary;
  }
}

TEST(Verdict, ABodyThatCannotBePlayedHasAdvice) {
  Report report = report_with(200, "HTML page");
  conclude_answer(false, "Find the media URL.", report);
  EXPECT_EQ(report.verdict, Verdict::upstream_problem);
  EXPECT_EQ(report.summary, "The upstream answers, but not with a stream: HTML page.");
  EXPECT_EQ(report.advice, std::vector<std::string>{"Find the media URL."});
}

TEST(Verdict, APlaylistIsDescribedInOneSentence) {
  ExplainedPlaylist playlist;
  playlist.type = "media";
  playlist.window = "live";
  playlist.segments = 1;
  EXPECT_EQ(concluded(playlist).summary,
            "The URL plays through the proxy: HLS media playlist (live, 1 segment).");
  playlist.type = "multivariant";
  playlist.variant_count = 2;
  EXPECT_EQ(concluded(playlist).summary,
            "The URL plays through the proxy: HLS multivariant playlist (2 variants).");
  playlist.left_out = 3;
  const Report report = concluded(playlist);
  EXPECT_EQ(report.summary,
            "The URL plays through the proxy: HLS multivariant playlist (2 variants, 3 left out by "
            "a limit).");
  EXPECT_EQ(report.advice.size(), 2u);
}

TEST(Verdict, AnEmptyOrBrokenPlaylistDoesNotPlay) {
  ExplainedPlaylist playlist;
  playlist.type = "media";
  EXPECT_EQ(concluded(playlist).verdict, Verdict::upstream_problem);
  playlist.is_low_latency = true;
  EXPECT_EQ(concluded(playlist).verdict, Verdict::plays);
  playlist.error = "a line is too long";
  const Report report = concluded(playlist);
  EXPECT_EQ(report.verdict, Verdict::upstream_problem);
  EXPECT_EQ(report.summary, "The playlist cannot be rewritten: a line is too long.");
}

TEST(Verdict, OnlyKeysOfKeySystemsGiveAdvice) {
  ExplainedPlaylist playlist;
  playlist.type = "media";
  playlist.segments = 1;
  playlist.keys = {"AES-128"};
  EXPECT_TRUE(concluded(playlist).advice.empty());
  playlist.keys = {"AES-128", "SAMPLE-AES", "AES-128 (drm)"};
  EXPECT_EQ(concluded(playlist).advice.size(), 2u);
}

TEST(Verdict, AFailureNamesItsReasonAndCause) {
  Report report;
  conclude_failure({Reason::connect_failed, "refused by 1.2.3.4"}, report);
  EXPECT_EQ(report.verdict, Verdict::upstream_problem);
  EXPECT_EQ(report.reason, "connect_failed");
  EXPECT_EQ(report.player_status, 502);
  EXPECT_EQ(report.detail, "refused by 1.2.3.4");
  for (const Reason refusal : {Reason::bad_url, Reason::bad_request, Reason::target_forbidden,
                               Reason::port_forbidden, Reason::loop}) {
    Report refused;
    conclude_failure({refusal, ""}, refused);
    EXPECT_EQ(refused.verdict, Verdict::refused) << info_of(refusal).token;
  }
}

TEST(Verdict, AManifestThatIsProtectedNamesItsKeySystems) {
  Report report = report_with(200, "DASH manifest");
  ExplainedManifest& manifest = report.manifest.emplace();
  manifest.representation_count = 1;
  conclude_answer(true, {}, report);
  EXPECT_EQ(report.verdict, Verdict::plays);
  EXPECT_NE(report.summary.find("DASH manifest (VOD, 1 representation)."), std::string::npos);
  EXPECT_TRUE(report.advice.empty());

  manifest.is_encrypted = true;
  manifest.keys = {"Widevine", "PlayReady"};
  conclude_answer(true, {}, report);
  ASSERT_EQ(report.advice.size(), 1u);
  EXPECT_NE(report.advice[0].find("(Widevine or PlayReady)"), std::string::npos);
}

}  // namespace
}  // namespace streamgate
