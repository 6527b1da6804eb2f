#include "worker/links/cmcd.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

std::string encoded(std::string_view text) {
  std::string out;
  percent_encode(text, out);
  return out;
}

const std::string kTarget = "/stream?url=" + encoded("https://up.example/a/b/1.ts?t=1");

// `next` is what the player writes into `nor`, not encoded yet.
std::string translated(const std::string& next) {
  const auto request = parse_stream_request(kTarget);
  const std::string list = "br=1,nor=\"" + encoded(next) + "\",nrr=\"0-9\",sid=\"a,nor=b\"";
  return cmcd_for_upstream(list, kTarget, request->upstream);
}

std::string with_next(const std::string& reference) {
  return "br=1,nor=\"" + encoded(reference) + "\",sid=\"a,nor=b\",nrr=\"0-9\"";
}

std::string link(const std::string& url) { return "stream?url=" + encoded(url) + "&sg_ext=.ts"; }

TEST(Cmcd, NamesTheNextObjectByTheUpstreamsOwnReference) {
  const std::string origin = "https://up.example";
  EXPECT_EQ(translated(link(origin + "/a/b/2.ts?t=1")), with_next("2.ts?t=1"));
  EXPECT_EQ(translated("/" + link(origin + "/a/c/d/2.ts")), with_next("../c/d/2.ts"));
  EXPECT_EQ(translated("https://proxy.example/" + link(origin + "/2.ts")), with_next("../../2.ts"));
  EXPECT_EQ(translated("../" + link(origin + ":443/a/b/x:y.ts")), with_next("./x:y.ts"));
  EXPECT_EQ(translated("?url=" + encoded(origin + "/a/b/?q")), with_next("./?q"));
}

TEST(Cmcd, LeavesOutANextObjectThatTheUpstreamDoesNotHave) {
  const std::string nothing = "br=1,sid=\"a,nor=b\"";
  EXPECT_EQ(translated(link("https://other.example/a/b/2.ts")), nothing);
  EXPECT_EQ(translated(link("http://up.example/a/b/2.ts")), nothing);
  EXPECT_EQ(translated(link("ftp://up.example/2.ts")), nothing);
  EXPECT_EQ(translated("2.ts"), nothing);
  EXPECT_EQ(translated("stream"), nothing);
  EXPECT_EQ(translated(""), nothing);
  EXPECT_EQ(translated(link("https://up.example/a/b//2.ts")), nothing);
}

TEST(Cmcd, KeepsARangeOfTheCurrentObject) {
  const HttpUrl url = parse_stream_request(kTarget)->upstream;
  EXPECT_EQ(cmcd_for_upstream("nrr=\"0-9\",br=1", kTarget, url), "br=1,nrr=\"0-9\"");
  EXPECT_EQ(cmcd_for_upstream("br=1,su", kTarget, url), "br=1,su");
}

TEST(Cmcd, LeavesOutListsOfNextObjects) {
  const HttpUrl url = parse_stream_request(kTarget)->upstream;
  EXPECT_EQ(cmcd_for_upstream("nor=(\"a\" \"b,c\"),v=2", kTarget, url), "v=2");
  EXPECT_EQ(cmcd_for_upstream("nor", kTarget, url), "");
  EXPECT_EQ(cmcd_for_upstream("nor=\"a", kTarget, url), "");
}

TEST(Cmcd, NextObjectsAreLinksOfThePathFormToo) {
  const std::string at = "/at/-/https/up.example";
  EXPECT_EQ(translated(at + "/a/b/2.ts?t=1"), with_next("2.ts?t=1"));
  EXPECT_EQ(translated("https://proxy.example" + at + "/a/c/2.ts"), with_next("../c/2.ts"));
  EXPECT_EQ(translated("/at/-/https/other.example/2.ts"), "br=1,sid=\"a,nor=b\"");
  EXPECT_EQ(translated("/at/nonsense"), "br=1,sid=\"a,nor=b\"");
}

TEST(Cmcd, IsTranslatedInTheQueryOfAPathLink) {
  const auto sent = [](const std::string& next, const std::string& behind) {
    const std::string list = "br=1,nor=\"" + encoded(next) + "\"";
    const auto request =
        parse_stream_request("/at/-/https/up.example/a/b/1.ts?t=1&CMCD=" + encoded(list) + behind);
    return request->upstream.path_and_query;
  };
  const std::string translated = "/a/b/1.ts?t=1&CMCD=" + encoded("br=1,nor=\"2.ts\"");
  EXPECT_EQ(sent("2.ts", "&&o=1"), translated + "&&o=1");
  EXPECT_EQ(sent("/at/-/https/up.example/a/b/2.ts", ""), translated);
  EXPECT_EQ(sent("/stream?url=https%3A%2F%2Fup.example%2Fa%2Fb%2F2.ts", ""), translated);
  EXPECT_EQ(sent("../../../other.example/2.ts", ""), "/a/b/1.ts?t=1&CMCD=br%3D1");
  const auto other = parse_stream_request("/at/-/https/up.example/1.ts?xCMCD=%6E&CMCD=br%3d1");
  EXPECT_EQ(other->upstream.path_and_query, "/1.ts?xCMCD=%6E&CMCD=br%3d1");
}

TEST(Cmcd, IsTranslatedInTheQuery) {
  const std::string next = "nor=\"" + encoded(link("https://up.example/a/b/2.ts")) + "\"";
  const auto request =
      parse_stream_request(kTarget + "&CMCD=" + encoded("br=1," + next) + "&other=1");
  EXPECT_EQ(request->upstream.path_and_query,
            "/a/b/1.ts?t=1&CMCD=" + encoded("br=1,nor=\"2.ts\"") + "&other=1");
  const auto nothing = parse_stream_request("/stream?CMCD=nor%3D%22x%22&" + kTarget.substr(8));
  EXPECT_EQ(nothing->upstream.path_and_query, "/a/b/1.ts?t=1");
  const auto same = parse_stream_request(kTarget + "&CMCD=sid%3D%22a%22,br=1");
  EXPECT_EQ(same->upstream.path_and_query, "/a/b/1.ts?t=1&CMCD=sid%3D%22a%22,br=1");
}

TEST(Cmcd, IsTranslatedInLinksOfThePathForm) {
  const std::string link = "/at/c2dfYz1BQQ/https/up.example/a/b/1.ts?t=1";
  const auto sent = [&](const std::string& next) {
    const std::string list = encoded("br=1,nor=\"" + encoded(next) + "\"");
    return parse_stream_request(link + "&CMCD=" + list + "&other=1")->upstream.path_and_query;
  };
  const auto with = [](const std::string& list) {
    return "/a/b/1.ts?t=1&CMCD=" + encoded(list) + "&other=1";
  };
  EXPECT_EQ(sent("2.ts?t=1"), with("br=1,nor=\"" + encoded("2.ts?t=1") + "\""));
  EXPECT_EQ(sent("/at/-/https/up.example/c.ts"),
            with("br=1,nor=\"" + encoded("../../c.ts") + "\""));
  // A carry may hold a grant, so no part of a link goes to an upstream.
  EXPECT_EQ(sent("../../../other.example/x.ts"), with("br=1"));
  EXPECT_EQ(sent("../../../../../c2dfZ3JhbnQ9eA/https/other.example/x.ts"), with("br=1"));
  EXPECT_EQ(parse_stream_request(link + "&CMCD=nor%3D%22%2F%22")->upstream.path_and_query,
            "/a/b/1.ts?t=1");
  const std::string same = "/a/b/1.ts?CMCD=sid%3D%22a%22,br=1&&x";
  EXPECT_EQ(parse_stream_request("/at/-/https/up.example" + same)->upstream.path_and_query, same);

  const HttpUrl url = parse_stream_request(link)->upstream;
  EXPECT_EQ(cmcd_for_upstream("nor=\"2.ts\"", link, url), "nor=\"2.ts\"");
}

}  // namespace
}  // namespace streamgate
