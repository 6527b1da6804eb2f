#include "worker/explain/report_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace streamgate {
namespace {

using Json = nlohmann::json;

Report full_report() {
  Report report;
  report.url = "http://h/a";
  report.verdict = Verdict::plays;
  report.summary = "It plays.";
  report.advice = {"Do this."};
  report.hops.push_back({"http://h/a"});
  ExplainedHop& hop = report.hops.back();
  hop.addresses = {{"192.0.2.1", true, "", "", true}, {"10.0.0.1", false, "private"}};
  hop.connect_ms = 1.25;
  hop.status = 200;
  hop.headers = {{"Server", "x"}};
  report.kind = "HLS multivariant playlist";
  report.declared_type = "text/plain";
  report.body_bytes = 10;
  report.is_body_complete = true;
  report.playlist.emplace();
  report.playlist->type = "multivariant";
  report.playlist->lines = 4;
  report.playlist->variant_count = 1;
  report.playlist->left_out = 2;
  report.playlist->variants = {{"v", "9", "1x2", "avc1"}};
  report.playlist->links = {{"v", "/stream?url=v"}};
  return report;
}

TEST(ReportText, HasEachFactOnALine) {
  const std::string text = report_as_text(full_report());
  for (const std::string line :
       {"1. http://h/a\n", "192.0.2.1: allowed, connected\n", "10.0.0.1: refused: private\n",
        "connect 1.2 ms", "Server: x\n", "multivariant, 4 lines\n", "9 bit/s, 1x2, avc1: v\n",
        "2 variants, by a limit\n", "  -> /stream?url=v\n", "10 bytes, complete\n",
        "Verdict: It plays.\n", "Do this.\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nis not in\n" << text;
  }
  EXPECT_EQ(text.find("a player gets"), std::string::npos);
}

Report report_on_manifest() {
  Report report;
  report.kind = "DASH manifest";
  ExplainedManifest& manifest = report.manifest.emplace();
  manifest.is_live = true;
  manifest.periods = 2;
  manifest.representation_count = 20;
  manifest.representations = {{"video/mp4", "", "9", "640", "360", "avc1"},
                              {"audio/mp4", "de", "7", "", "", "mp4a"}};
  manifest.is_encrypted = true;
  manifest.keys = {"Widevine", "PlayReady"};
  manifest.rewritten_links = 4;
  manifest.links = {{"http://a/b", "/at/-/http/a/b"}, {"", "/at/-/http/c/"}};
  return report;
}

TEST(ReportText, AManifestHasItsRepresentationsKeysAndLinks) {
  const std::string text = report_as_text(report_on_manifest());
  for (const std::string line :
       {"live, 2 periods, 20 representations\n", "9 bit/s, 640x360, video/mp4, avc1\n",
        "7 bit/s, audio/mp4, mp4a, de\n", "Widevine, PlayReady\n", "4 links\n", "http://a/b\n",
        "  -> /at/-/http/a/b\n", "(none)\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nis not in\n" << text;
  }
}

TEST(ReportText, OneOfAKindIsSingular) {
  Report report = full_report();
  report.body_bytes = report.playlist->lines = report.playlist->segments = 1;
  report.playlist->left_out = report.playlist->rewritten_lines = 1;
  ExplainedManifest& manifest = report.manifest.emplace();
  manifest.periods = manifest.representation_count = manifest.rewritten_links = 1;
  const std::string text = report_as_text(report);
  for (const std::string line :
       {" 1 byte, complete\n", ", 1 line, 1 segment\n", " 1 variant, by a limit\n", " 1 line\n",
        "VOD, 1 period, 1 representation\n", " 1 link\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nis not in\n" << text;
  }
}

TEST(ReportText, WhatIsUnknownIsLeftOut) {
  Report report = report_on_manifest();
  report.manifest->representations = {{"video/mp4", "", "", "640", "", "avc1"}, {}};
  report.playlist.emplace().variants = {{"v", "", "", "avc1"}};
  const std::string text = report_as_text(report);
  EXPECT_NE(text.find("representation video/mp4, avc1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("representation -\n"), std::string::npos) << text;
  EXPECT_NE(text.find("variant       avc1: v\n"), std::string::npos) << text;
}

TEST(ReportText, ALongManifestSaysThatOnlyItsBeginWasRead) {
  Report report = report_on_manifest();
  EXPECT_EQ(report_as_text(report).find("KiB"), std::string::npos);
  EXPECT_EQ(Json::parse(report_as_json(report))["manifest"]["truncated"], false);
  report.manifest->is_truncated = true;
  const std::string text = report_as_text(report);
  EXPECT_NE(text.find("20 representations (of its first 256 KiB)\n"), std::string::npos) << text;
  EXPECT_EQ(Json::parse(report_as_json(report))["manifest"]["truncated"], true);
}

TEST(ReportJson, AManifestHasStableKeys) {
  const Json json = Json::parse(report_as_json(report_on_manifest()))["manifest"];
  EXPECT_EQ(json["window"], "live");
  EXPECT_EQ(json["representations"][0]["height"], "360");
  EXPECT_EQ(json["keys"], Json({"Widevine", "PlayReady"}));
  EXPECT_EQ(json["rewritten"]["links"], 4);
  EXPECT_EQ(json["rewritten"]["first"][0]["after"], "/at/-/http/a/b");
}

TEST(ReportText, AFailureSaysWhatAPlayerGets) {
  Report report;
  report.reason = "dns_failed";
  report.player_status = 502;
  report.hops.push_back({"http://h/a"});
  const std::string text = report_as_text(report);
  EXPECT_NE(text.find("502 dns_failed\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("Body\n"), std::string::npos);
}

TEST(ReportJson, HasStableKeys) {
  const Json out = Json::parse(report_as_json(full_report()));
  EXPECT_EQ(out["verdict"], "plays");
  EXPECT_EQ(out["requests"][0]["timing"], Json::parse(R"({"connect_ms": 1.25})"));
  EXPECT_EQ(out["requests"][0]["addresses"][1]["refusal"], "private");
  EXPECT_EQ(out["playlist"]["variant_count"], 1);
  EXPECT_EQ(out["playlist"]["variants_left_out"], 2);
  EXPECT_EQ(out["playlist"]["variants"][0]["url"], "v");
  EXPECT_FALSE(out.contains("detail"));
  EXPECT_FALSE(out.contains("content_length"));
}

TEST(ReportJson, BytesThatAreNoUtf8AreReplaced) {
  Report report;
  report.summary = "a\xff";
  EXPECT_EQ(Json::parse(report_as_json(report))["summary"], "a\xef\xbf\xbd");
}

TEST(Report, TextsFromOutsideHaveNoControlBytes) {
  EXPECT_EQ(printable("a\n\x1b[0m\x7f\xc2\x9b"
                      "b",
                      100),
            "a??[0m???b");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(shown("http://h/a?token=secret", 100), "http://h/a?token=*");
}

TEST(ReportText, TextsFromOutsideArePrintable) {
  EXPECT_EQ(printable("a\x1b[2J\x7f\n", 80), "a?[2J??");
  EXPECT_EQ(printable("\u4e2d\u00e9 \U0001f600", 80), "\u4e2d\u00e9 \U0001f600");
  EXPECT_EQ(printable("\xff\xfe \xc3", 80), "?? ?");
  EXPECT_EQ(printable("\x9b"
                      "2J \u009b2J",
                      80),
            "?2J ??2J");
  EXPECT_EQ(printable("a\u4e2d", 2), "a?...");  // cut inside a character
}

}  // namespace
}  // namespace streamgate
