#include "worker/links/grant.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "worker/links/url_scope.h"

namespace streamgate {
namespace {

HttpUrl url_of(std::string_view text) {
  auto url = parse_http_url(text);
  EXPECT_TRUE(url) << text;
  return *url;
}

class GrantTest : public testing::Test {
 protected:
  GrantTest() {
    TokenKey key;
    key.id = "site";
    key.secret = "0123456789abcdef0123456789abcdef";
    config_.keys = {key};
    keys_.emplace(config_);
    access_.key = config_.keys.data();
    access_.expires = 1'700'000'000;
  }

  std::string grant_for(std::string_view url) {
    GrantWriter writer;
    writer.begin(*keys_, access_);
    return std::string(writer.parameter_for(url, {}));
  }
  // The text behind `&sg_grant=`.
  static std::string text_of(std::string_view parameter) {
    return std::string(parameter.substr(parameter.find('=') + 1));
  }

  SecurityConfig config_;
  std::optional<GrantKeys> keys_;
  Access access_;
};

TEST_F(GrantTest, CoversTheDirectoryOfTheChild) {
  const std::string grant = text_of(grant_for("http://cdn.example/live/a.ts?x=/y/"));
  EXPECT_TRUE(grant.starts_with("1.site.1700000000.1.-.")) << grant;
  for (int i = 0; i < 2; ++i) {  // the second time from verified_
    const auto access = keys_->verify(grant, url_of("http://cdn.example/live/deep/b.ts"), {});
    ASSERT_TRUE(access);
    EXPECT_EQ(access->scope, "http://cdn.example/live/");
    EXPECT_EQ(access->grant, grant);
    EXPECT_EQ(access->key, config_.keys.data());
    EXPECT_FALSE(keys_->verify(grant, url_of("http://cdn.example/other/b.ts"), {}));
  }
  const auto above = keys_->verify(grant, url_of("http://cdn.example/b.ts"), {});
  EXPECT_EQ(above.error().reason, Reason::token_scope);
  const auto dots = keys_->verify(grant, url_of("http://cdn.example/live/%2e%2e/b.ts"), {});
  EXPECT_EQ(dots.error().reason, Reason::token_scope);
}

TEST_F(GrantTest, AKnownGrantWithOneByteChangedIsInvalid) {
  const std::string grant = text_of(grant_for("http://cdn.example/live/a.ts"));
  const HttpUrl url = url_of("http://cdn.example/live/a.ts");
  ASSERT_TRUE(keys_->verify(grant, url, {}));
  for (size_t i = 0; i < grant.size(); ++i) {
    std::string changed = grant;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(keys_->verify(changed, url, {})) << changed;
    changed = grant;
    changed.erase(i, 1);
    EXPECT_FALSE(keys_->verify(changed, url, {})) << changed;
  }
  EXPECT_FALSE(keys_->verify(grant + "A", url, {}));
  EXPECT_FALSE(keys_->verify("", url, {}));
}

TEST_F(GrantTest, AnotherSecretMakesAnotherGrant) {
  const std::string grant = text_of(grant_for("http://cdn.example/live/a.ts"));
  SecurityConfig other = config_;
  other.keys[0].secret = "fedcba9876543210fedcba9876543210";
  GrantKeys others(other);
  EXPECT_FALSE(others.verify(grant, url_of("http://cdn.example/live/a.ts"), {}));
}

TEST_F(GrantTest, AChildBelowTheScopeKeepsTheGrantOfItsParent) {
  access_.grant = text_of(grant_for("http://cdn.example/live/index.m3u8"));
  access_.scope = "http://cdn.example/live/";
  EXPECT_EQ(text_of(grant_for("http://cdn.example/live/low/a.ts")), access_.grant);
  EXPECT_EQ(text_of(grant_for("HTTP://cdn.EXAMPLE:80/live/a.ts")), access_.grant);
  EXPECT_NE(text_of(grant_for("http://cdn.example/other/a.ts")), access_.grant);
  EXPECT_NE(text_of(grant_for("https://cdn.example/live/a.ts")), access_.grant);
}

TEST_F(GrantTest, TheSameChildAlwaysHasTheSameText) {
  GrantWriter writer;
  writer.begin(*keys_, access_);
  const std::string first(writer.parameter_for("http://cdn.example/a/1.ts", {}));
  const std::string other(writer.parameter_for("http://cdn.example/b/1.ts", {}));
  EXPECT_NE(first, other);
  EXPECT_EQ(writer.parameter_for("http://cdn.example/a/2.ts", {}), first);
  EXPECT_EQ(writer.parameter_for("http://cdn.example/b/%32.ts", {}), other);
}

TEST_F(GrantTest, AGrantThatWasMadeBeforeIsNeverThatOfAnotherAccess) {
  const std::string url = "http://cdn.example/live/a.ts";
  TokenKey second = config_.keys[0];
  second.id = "other";
  config_.keys.push_back(second);
  keys_.emplace(config_);
  access_.key = config_.keys.data();
  const Access first = access_;
  Access later = first;
  later.expires += 60;
  Access limited = first;
  limited.claims = encode_claims({"10.0.0.0/8", 2, 0, "t1"});
  Access of_other_key = first;
  of_other_key.key = &config_.keys[1];
  Access inherited = first;
  inherited.scope = "http://cdn.example/live/";
  inherited.grant = keys_->sign(later, inherited.scope, 1, {});
  Access of_other_scope = inherited;
  of_other_scope.scope = "http://cdn.example/";
  of_other_scope.grant = keys_->sign(later, of_other_scope.scope, 0, {});
  const Access* const all[] = {&first,        &later,     &limited,
                               &of_other_key, &inherited, &of_other_scope};
  std::set<std::string> grants;
  for (int i = 0; i < 2; ++i) {  // the second time from made_
    for (const Access* access : all) {
      access_ = *access;
      const std::string grant = text_of(grant_for(url));
      EXPECT_EQ(grants.insert(grant).second, i == 0 && access != &inherited) << grant;
      const auto verified = keys_->verify(grant, url_of(url), {});
      ASSERT_TRUE(verified) << grant;
      const bool keeps = !access->grant.empty();
      EXPECT_EQ(verified->expires, keeps ? later.expires : access->expires);
      EXPECT_EQ(verified->claims, access->claims);
      EXPECT_EQ(verified->key, access->key);
      EXPECT_EQ(verified->scope, keeps ? access->scope : inherited.scope);
    }
  }
}

TEST_F(GrantTest, AmbiguousAndUnusableUrlsGetNoGrant) {
  EXPECT_EQ(grant_for("http://cdn.example/live/%2e%2e/a.ts"), "");
  EXPECT_EQ(grant_for("http://cdn.example/live/..%2Fa.ts"), "");
  EXPECT_EQ(grant_for("http:///a.ts"), grant_for("http:///a.ts"));
  EXPECT_EQ(grant_for("ftp://cdn.example/a.ts"), "");
}

TEST_F(GrantTest, HostsWithoutAPathHaveGrantsOfTheirOwn) {
  for (int i = 0; i < 2; ++i) {  // the second time from made_
    GrantWriter writer;
    writer.begin(*keys_, access_);
    for (const std::string url : {"http://a.example", "http://b.example", "http://c.example?x=/"}) {
      const std::string grant = text_of(writer.parameter_for(url, {}));
      EXPECT_TRUE(keys_->verify(grant, url_of(url), {})) << url;
      EXPECT_EQ(writer.scope(), url_of(url).origin() + "/");
    }
  }
}

TEST_F(GrantTest, AUrlWithoutAGrantLeavesTheOthersOfItsDirectoryTheirs) {
  const std::string good = "http://cdn.example/live/a.ts";
  for (const std::string bad :
       {"http://cdn.example/live/..", "http://cdn.example/live/.", "http://cdn.example/live/..?x",
        "http://cdn.example/live/a\tb.ts"}) {
    keys_.emplace(config_);
    GrantWriter writer;
    writer.begin(*keys_, access_);
    EXPECT_EQ(writer.parameter_for(bad, {}), "") << bad;
    EXPECT_NE(writer.parameter_for(good, {}), "") << bad;
    keys_.emplace(config_);
    EXPECT_EQ(grant_for(bad), "") << bad;
    EXPECT_NE(grant_for(good), "") << bad;  // not from made_
  }
}

TEST_F(GrantTest, PlaceholdersOfAPathAreNotInTheScope) {
  const std::string grant =
      text_of(grant_for("http://cdn.example/shift/u/%7Bduration%7D/%7Bstart%7D/1.ts"));
  EXPECT_TRUE(keys_->verify(grant, url_of("http://cdn.example/shift/u/60/2026-01-01/1.ts"), {}));
  EXPECT_FALSE(keys_->verify(grant, url_of("http://cdn.example/shift/v/60/2026-01-01/1.ts"), {}));
}

TEST_F(GrantTest, TheMacMayCoverTheHeadersOfTheLink) {
  config_.parameters.headers = false;
  keys_.emplace(config_);
  GrantWriter writer;
  writer.begin(*keys_, access_);
  const std::string_view url = "http://cdn.example/live/a.ts";
  const std::string plain = text_of(std::string(writer.parameter_for(url, "")));
  const std::string own = text_of(std::string(writer.parameter_for(url, "&h_X=1")));
  const std::string cookie = text_of(std::string(writer.parameter_for(url, "&sg_c=AA")));
  EXPECT_NE(plain, own);
  EXPECT_NE(plain, cookie);
  EXPECT_TRUE(keys_->verify(cookie, url_of(url), "&sg_c=AA"));
  EXPECT_FALSE(keys_->verify(cookie, url_of(url), "&sg_c=AB"));
  for (int i = 0; i < 2; ++i) {  // the second time they are known
    EXPECT_TRUE(keys_->verify(plain, url_of(url), ""));
    EXPECT_TRUE(keys_->verify(own, url_of(url), "&h_X=1"));
    EXPECT_FALSE(keys_->verify(plain, url_of(url), "&h_X=1"));
    EXPECT_FALSE(keys_->verify(own, url_of(url), ""));
    EXPECT_FALSE(keys_->verify(own, url_of(url), "&h_X=2"));
  }
  // A child with the headers of its parent keeps the grant, any other child gets one.
  const Access parent = *keys_->verify(own, url_of(url), "&h_X=1");
  writer.begin(*keys_, parent);
  EXPECT_EQ(own, text_of(std::string(writer.parameter_for(url, "&h_X=1"))));
  EXPECT_EQ(plain, text_of(std::string(writer.parameter_for(url, ""))));
}

TEST_F(GrantTest, TheMacCoversVariablesAndTheKindAndNoOptions) {
  const std::string_view url = "http://cdn.example/live/a.m3u8";
  for (const bool may_have_headers : {true, false}) {
    config_.parameters.headers = may_have_headers;
    keys_.emplace(config_);
    GrantWriter writer;
    writer.begin(*keys_, access_);
    const auto grant = [&](const std::string& form) {
      return text_of(std::string(writer.parameter_for(url, form)));
    };
    const std::string plain = grant("");
    EXPECT_EQ(plain, grant("&sg_max_height=720"));
    for (const std::string form : {"&sg_v=AA", "&sg_k=steering", "&sg_v=AA&sg_k=steering"}) {
      EXPECT_NE(plain, grant(form)) << form;
      EXPECT_EQ(grant(form), grant(form + "&sg_max_height=720"));
      EXPECT_TRUE(keys_->verify(grant(form), url_of(url), form));
      EXPECT_FALSE(keys_->verify(grant(form), url_of(url), ""));
      EXPECT_FALSE(keys_->verify(grant(form), url_of(url), form + "B"));
      EXPECT_FALSE(keys_->verify(plain, url_of(url), form));
    }
    const std::string headers = "&referer=http%3A%2F%2Fr%2F&h_X=1";
    const std::string covered = may_have_headers ? "&sg_v=AA" : headers + "&sg_v=AA";
    EXPECT_TRUE(keys_->verify(grant(headers + "&sg_v=AA"), url_of(url), covered));
  }
}

TEST_F(GrantTest, TheCoveredPartOfALinkIsThatOfItsQueryForm) {
  LinkContext link;
  EXPECT_EQ(keys_->covered_part_of(link), "");
  link.headers = {{"X", "1"}};
  link.cookies = "Yw";
  EXPECT_EQ(keys_->covered_part_of(link), "");
  link.variables = "Yg";
  link.kind = LinkKind::steering;
  link.options.max_height = 720;
  EXPECT_EQ(keys_->covered_part_of(link), "&sg_v=Yg&sg_k=steering");
  config_.parameters.headers = false;
  keys_.emplace(config_);
  EXPECT_EQ(keys_->covered_part_of(link), "&h_X=1&sg_c=Yw&sg_v=Yg&sg_k=steering");
}

TEST_F(GrantTest, AGrantOfAnEntryMayCoverTheUrlAlone) {
  access_.reach = Access::Reach::url;
  const HttpUrl url = url_of("http://h/films/get?id=5&_HLS_msn=1");
  const GrantKeys::Entry alone = keys_->sign_entry(access_, url, {});
  EXPECT_EQ(alone.scope, "http://h/films/get?id=5#");
  for (const char* same : {"http://h/films/get?id=5", "http://h/films/get?id=5&_HLS_msn=2",
                           "http://h/films/get?CMCD=bl%3D1&id=5"}) {
    EXPECT_TRUE(keys_->verify(alone.grant, url_of(same), {})) << same;
    EXPECT_TRUE(is_in_scope(url_of(same), alone.scope)) << same;
  }
  for (const char* other :
       {"http://h/films/get?id=6", "http://h/films/get", "http://h/films/get?id=5&id=6",
        "http://h/films/a/get?id=5", "http://h/get?id=5", "https://h/films/get?id=5"}) {
    EXPECT_FALSE(keys_->verify(alone.grant, url_of(other), {})) << other;
    EXPECT_FALSE(is_in_scope(url_of(other), alone.scope)) << other;
  }
}

TEST_F(GrantTest, AKnownGrantWithHeadersBehindItIsInvalid) {
  config_.parameters.headers = false;
  keys_.emplace(config_);
  GrantWriter writer;
  writer.begin(*keys_, access_);
  const std::string_view url = "http://cdn.example/live/a.ts";
  const std::string own = text_of(std::string(writer.parameter_for(url, "&h_X=1&h_Y=2")));
  ASSERT_TRUE(keys_->verify(own, url_of(url), "&h_X=1&h_Y=2"));
  EXPECT_FALSE(keys_->verify(own + "&h_X=1", url_of(url), "&h_Y=2"));
  EXPECT_FALSE(keys_->verify(own + "&h_X=1&h_Y=2", url_of(url), ""));
}

TEST(AccessClaimsTest, DecodingInvertsEncoding) {
  const AccessClaims claims{"10.0.0.0/8", 3, 125'000, "t;1"};
  const std::string text = encode_claims(claims);
  const auto decoded = decode_claims(text);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->client, "10.0.0.0/8");
  EXPECT_EQ(decoded->streams, 3U);
  EXPECT_EQ(decoded->rate, 125'000U);
  EXPECT_EQ(decoded->token_id, "t;1");
  EXPECT_TRUE(decode_claims("-"));
  EXPECT_FALSE(decode_claims(""));
  EXPECT_FALSE(decode_claims("AA"));
  EXPECT_FALSE(decode_claims(text + "AAAA"));
}

TEST_F(GrantTest, AGrantOfAnEntryCoversTheDirectoryOrThePathAlone) {
  const HttpUrl url = url_of("http://h/films/a.mp4?x");
  const GrantKeys::Entry alone = keys_->sign_entry(access_, url, {});
  EXPECT_EQ(alone.scope, "http://h/films/a.mp4?");
  EXPECT_TRUE(keys_->verify(alone.grant, url, {}));
  EXPECT_FALSE(keys_->verify(alone.grant, url_of("http://h/films/b.mp4"), {}));
  EXPECT_FALSE(keys_->verify(alone.grant, url_of("http://h/films/a.mp4/b"), {}));
  // The links of the document get grants for directories, also a link to the document itself.
  Access parent = *keys_->verify(alone.grant, url, {});
  GrantWriter writer;
  writer.begin(*keys_, parent);
  for (const char* child : {"http://h/films/a.mp4?x", "http://h/films/", "http://h/films/b.mp4"}) {
    const std::string grant = text_of(std::string(writer.parameter_for(child, {})));
    EXPECT_TRUE(keys_->verify(grant, url_of("http://h/films/c/d.mp4"), {})) << child;
  }
  access_.reach = Access::Reach::directory;
  const GrantKeys::Entry wide = keys_->sign_entry(access_, url, {});
  EXPECT_EQ(wide.scope, "http://h/films/");
  EXPECT_TRUE(keys_->verify(wide.grant, url_of("http://h/films/b.mp4"), {}));
}

}  // namespace
}  // namespace streamgate
