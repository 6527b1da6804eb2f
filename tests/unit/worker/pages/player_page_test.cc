#include "worker/pages/player_page.h"

#include <gtest/gtest.h>

#include <set>

#include "common/reason.h"
#include "tests/unit/read_head.h"

namespace streamgate {
namespace {

RequestHead client_with(HeaderFields fields) {
  RequestHead client;
  client.fields = std::move(fields);
  return client;
}

ReadHead answer(std::string_view target, const RequestHead& client,
                std::string_view public_url = {}) {
  const PageAsset* asset = find_page_asset(target);
  if (asset == nullptr) return {};
  return read_head(write_page_response(*asset, {client, true, public_url}).text);
}

TEST(PlayerPage, ServesThePageAndItsFilesBelowBothPaths) {
  for (const std::string_view mount : {"/", "/api/proxy/"}) {
    const ReadHead page = answer(mount, {});
    EXPECT_EQ(page.first_line, "HTTP/1.1 200 OK");
    EXPECT_EQ(page["Content-Type"], "text/html; charset=utf-8");
    EXPECT_NE(page.body.find("<title>Streamgate</title>"), std::string::npos);
    const ReadHead script = answer(std::string(mount) + "page/app.js", {});
    EXPECT_EQ(script["Content-Type"], "text/javascript; charset=utf-8");
    EXPECT_EQ(script["Content-Length"], std::to_string(script.body.size()));
  }
  EXPECT_NE(find_page_asset("/?lang=zh"), nullptr);
}

TEST(PlayerPage, HasNoOtherPaths) {
  for (const std::string_view target :
       {"", "*", "//", "/page", "/page/", "/page/app.js/", "/page/../page/app.js", "/page/%61pp.js",
        "/index.html", "/api/proxy", "/api/proxy/api/proxy/", "/page/app.jsx", "/stream",
        "/api/proxy/stream", "/health"}) {
    EXPECT_EQ(find_page_asset(target), nullptr) << target;
  }
}

// A reference to another server, or to a path from the root, would break behind a prefix.
TEST(PlayerPage, ReferencesAreRelative) {
  const std::string page = answer("/", {}).body;
  for (const std::string_view start : {"src=\"", "href=\""}) {
    for (size_t at = page.find(start); at != std::string::npos; at = page.find(start, at + 1)) {
      const std::string reference = page.substr(at + start.size(), 5);
      EXPECT_TRUE(reference == "page/" || reference.front() == '#') << reference;
    }
  }
}

TEST(PlayerPage, PolicyForbidsInlineContentAndOtherOrigins) {
  const ReadHead page = answer("/", {});
  const std::string policy = page["Content-Security-Policy"];
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "));
  for (const std::string_view directive :
       {"media-src 'self' blob: data:;", "connect-src 'self';", "img-src 'self';",
        "base-uri 'none';", "form-action 'none';", "frame-ancestors 'none';",
        "require-trusted-types-for 'script'"}) {
    EXPECT_NE(policy.find(directive), std::string::npos) << directive;
  }
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(page["X-Frame-Options"], "DENY");
  EXPECT_EQ(page["Referrer-Policy"], "no-referrer");
  EXPECT_EQ(page["X-Content-Type-Options"], "nosniff");
  EXPECT_EQ(page["Cross-Origin-Resource-Policy"], "same-origin");
  EXPECT_EQ(page["Access-Control-Allow-Origin"], "-");
  EXPECT_EQ(page.body.find("<style"), std::string::npos);
  EXPECT_EQ(page.body.find("style="), std::string::npos);
  EXPECT_EQ(page.body.find("<script>"), std::string::npos);
}

TEST(PlayerPage, PolicyHasTheOriginOfThePublicUrl) {
  const ReadHead page = answer("/", {}, "https://media.example/below");
  const std::string policy = page["Content-Security-Policy"];
  EXPECT_NE(policy.find("connect-src 'self' https://media.example;"), std::string::npos);
  EXPECT_NE(policy.find("media-src 'self' https://media.example blob: data:;"), std::string::npos);
  EXPECT_EQ(policy.find("script-src 'self' https"), std::string::npos);
}

TEST(PlayerPage, IsGzippedForClientsThatAcceptIt) {
  const std::string plain = answer("/", {}).body;
  for (const std::string_view accepted :
       {"gzip", "br, GZIP;q=0.5", "deflate, gzip ; q=1.0", "identity;q=0, gzip"}) {
    const ReadHead page = answer("/", client_with({{"Accept-Encoding", accepted}}));
    EXPECT_EQ(page["Content-Encoding"], "gzip") << accepted;
    EXPECT_EQ(page["Vary"], "Accept-Encoding");
    EXPECT_EQ(page["Content-Length"], std::to_string(page.body.size()));
    EXPECT_LT(page.body.size(), plain.size() / 2);
  }
  for (const std::string_view accepted : {"", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"}) {
    const ReadHead page = answer("/", client_with({{"Accept-Encoding", accepted}}));
    EXPECT_EQ(page["Content-Encoding"], "-") << accepted;
    EXPECT_EQ(page["Vary"], "Accept-Encoding");
    EXPECT_EQ(page.body, plain);
  }
}

TEST(PlayerPage, IsRevalidatedByItsTag) {
  const std::string tag = answer("/", {})["ETag"];
  const ReadHead zipped = answer("/", client_with({{"Accept-Encoding", "gzip"}}));
  EXPECT_NE(zipped["ETag"], tag);
  EXPECT_EQ(zipped["Cache-Control"], "no-cache");
  const std::string weak = "W/" + tag;
  const std::string listed = "\"other\", " + zipped["ETag"];
  for (const std::string_view known : {std::string_view(tag), std::string_view(weak),
                                       std::string_view(listed), std::string_view("*")}) {
    const ReadHead head = answer("/", client_with({{"If-None-Match", known}}));
    EXPECT_EQ(head.first_line, "HTTP/1.1 304 Not Modified") << known;
    EXPECT_EQ(head["ETag"], tag);
    EXPECT_EQ(head["Content-Length"], "-");
    EXPECT_EQ(head.body, "");
  }
  const ReadHead changed = answer("/", client_with({{"If-None-Match", "\"0123456789abcdef\""}}));
  EXPECT_EQ(changed.first_line, "HTTP/1.1 200 OK");
  EXPECT_NE(answer("/page/app.js", {})["ETag"], tag);
}

TEST(PlayerPage, FollowsTheRequestsMethodAndVersion) {
  RequestHead client;
  client.method = Method::head;
  client.minor_version = 0;
  const ReadHead head = answer("/", client);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head["Content-Length"], std::to_string(answer("/", {}).body.size()));
  EXPECT_EQ(head["Connection"], "keep-alive");
}

// The page has a sentence for each reason.
TEST(PlayerPage, ExplainsEveryReason) {
  const std::string strings = answer("/page/strings.js", {}).body;
  const std::string reasons = strings.substr(strings.find("export const reasons"));
  for (const ReasonInfo& reason : kReasons) {
    EXPECT_NE(reasons.find("\n  " + std::string(reason.token) + ": ["), std::string::npos)
        << reason.token;
  }
}

TEST(PlayerPage, PathsAndHashesAreUnique) {
  std::set<std::string_view> paths;
  std::set<std::string_view> hashes;
  for (const PageAsset& asset : page_assets()) {
    EXPECT_TRUE(paths.insert(asset.path).second) << asset.path;
    EXPECT_EQ(asset.hash.size(), 16U);
    hashes.insert(asset.hash);
  }
  EXPECT_GE(paths.size(), 12U);
  EXPECT_GE(hashes.size(), 12U);
}

}  // namespace
}  // namespace streamgate
