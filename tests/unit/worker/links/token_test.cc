#include "worker/links/token.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/http/base64.h"
#include "worker/loop/signature.h"

namespace streamgate {
namespace {

std::string encoded(std::string_view bytes) {
  std::string text;
  append_base64url(bytes, text);
  return text;
}

TokenKey hs256(std::string id, std::string_view secret) {
  TokenKey key;
  key.id = std::move(id);
  key.secret = secret;
  return key;
}

std::string sign(std::string_view header, std::string_view payload, std::string_view secret) {
  const std::string text = encoded(header) + "." + encoded(payload);
  return text + "." + encoded(hmac_sha256(secret, text));
}

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr int64_t kNow = 1'700'000'000;

class TokenTest : public testing::Test {
 protected:
  TokenTest() { config_.keys = {hs256("site", kSecret)}; }

  Result<TokenClaims> verify(const std::string& token, int64_t now = kNow) {
    if (!verifier_) {
      auto made = TokenVerifier::make(config_);
      EXPECT_TRUE(made) << made.error().detail;
      verifier_.emplace(*std::move(made));
    }
    auto claims = verifier_->verify(token, now);
    if (!claims) return std::move(claims).error();
    return TokenClaims(**claims);
  }
  std::string rule_of(const std::string& token) {
    const auto claims = verify(token);
    return claims ? "valid"
                  : std::string(token_of(claims.error().reason)) + " " + claims.error().detail;
  }

  SecurityConfig config_;
  std::optional<TokenVerifier> verifier_;
};

TEST_F(TokenTest, AcceptsTheExampleOfRfc7515WithHmac) {
  const auto secret = decode_base64url(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  ASSERT_TRUE(secret);
  config_.keys = {hs256("rfc", *secret)};
  const auto claims = verify(
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ."
      "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
      1'300'819'379);
  ASSERT_TRUE(claims) << claims.error().detail;
  EXPECT_EQ(claims->expires, 1'300'819'380);
  EXPECT_FALSE(claims->has_id);
}

TEST_F(TokenTest, AcceptsTheExampleOfRfc7515WithEcdsa) {
  TokenKey key;
  key.id = "rfc";
  key.algorithm = TokenKey::Algorithm::es256;
  key.public_key_pem =
      "-----BEGIN PUBLIC KEY-----\n"
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
      "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
      "-----END PUBLIC KEY-----\n";
  config_.keys = {key};
  const std::string text =
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ.";
  const std::string signature =
      "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
  EXPECT_TRUE(verify(text + signature, 1'300'819'379));
  std::string other = signature;
  other[4] = 'X';
  EXPECT_FALSE(verify(text + other, 1'300'819'379));
}

TEST(PublicKeyTest, VerifiesTheExampleOfRfc8037) {
  const auto key = PublicKey::parse(
      "-----BEGIN PUBLIC KEY-----\n"
      "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
      "-----END PUBLIC KEY-----\n",
      PublicKey::Kind::ed25519);
  ASSERT_TRUE(key);
  const auto signature = decode_base64url(
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
  const std::string text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  EXPECT_TRUE(key->verify(text, *signature));
  EXPECT_FALSE(key->verify(text + "x", *signature));
  EXPECT_FALSE(key->verify(text, signature->substr(1)));
}

TEST(PublicKeyTest, RefusesAKeyOfAnotherKind) {
  const std::string_view ed25519 =
      "-----BEGIN PUBLIC KEY-----\n"
      "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
      "-----END PUBLIC KEY-----\n";
  EXPECT_FALSE(PublicKey::parse(ed25519, PublicKey::Kind::p256));
  EXPECT_FALSE(PublicKey::parse("", PublicKey::Kind::ed25519));
  EXPECT_FALSE(PublicKey::parse("-----BEGIN PUBLIC KEY-----\n", PublicKey::Kind::ed25519));
}

TEST_F(TokenTest, ReadsTheClaims) {
  const auto claims =
      verify(sign(R"({"alg":"HS256","typ":"JWT","kid":"site"})",
                  R"({"exp":1700000060.9,"nbf":1700000030,"url":"http://a/b",)"
                  R"("prefix":"http://a/","ip":"10.0.0.0/8","streams":3,"rate":125000,)"
                  R"("jti":"t1","other":{"exp":1}})",
                  kSecret));
  ASSERT_TRUE(claims) << claims.error().detail;
  EXPECT_EQ(claims->key, config_.keys.data());
  EXPECT_EQ(claims->expires, 1'700'000'060);
  EXPECT_EQ(claims->url->to_string(), "http://a/b");
  EXPECT_EQ(claims->prefix->to_string(), "http://a/");
  EXPECT_EQ(claims->client->to_string(), "10.0.0.0/8");
  EXPECT_EQ(claims->streams, 3U);
  EXPECT_EQ(claims->rate, 125'000U);
  EXPECT_EQ(claims->id, "t1");
  EXPECT_TRUE(claims->has_id);
}

TEST_F(TokenTest, ATokenWithoutIdHasADigestAsId) {
  const auto one = verify(sign(R"({"alg":"HS256"})", R"({"exp":1700000060})", kSecret));
  const auto other = verify(sign(R"({"alg":"HS256"})", R"({"exp":1700000061})", kSecret));
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->id.size(), 22U);
  EXPECT_NE(one->id, other->id);
}

TEST_F(TokenTest, TriesEachKeyIfTheTokenNamesNoKey) {
  config_.keys.push_back(hs256("second", "fedcba9876543210fedcba9876543210"));
  const std::string payload = R"({"exp":1700000060})";
  const auto second = "fedcba9876543210fedcba9876543210";
  EXPECT_EQ(verify(sign(R"({"alg":"HS256"})", payload, second))->key, &config_.keys[1]);
  EXPECT_EQ(rule_of(sign(R"({"alg":"HS256","kid":"site"})", payload, second)),
            "token_invalid signature");
}

TEST_F(TokenTest, ExpiryHasAToleranceOf30Seconds) {
  const std::string token = sign(R"({"alg":"HS256"})", R"({"exp":1700000000})", kSecret);
  EXPECT_TRUE(verify(token, kNow + 29));
  EXPECT_EQ(verify(token, kNow + 30).error().reason, Reason::token_expired);
  const std::string early =
      sign(R"({"alg":"HS256"})", R"({"exp":1700000900,"nbf":1700000030})", kSecret);
  EXPECT_TRUE(verify(early, kNow));
  EXPECT_FALSE(verify(early, kNow - 1));
}

TEST_F(TokenTest, HugeAndNegativeTimesDoNotOverflow) {
  const auto with = [](std::string_view exp) {
    return sign(R"({"alg":"HS256"})", "{\"exp\":" + std::string(exp) + "}", kSecret);
  };
  EXPECT_EQ(rule_of(with("18446744073709551615")), "valid");
  EXPECT_EQ(rule_of(with("9223372036854775807")), "valid");
  EXPECT_EQ(rule_of(with("-9223372036854775808")), "token_expired ");
  EXPECT_EQ(rule_of(with("1e999")), "token_invalid claims");
}

TEST_F(TokenTest, AFractionOfALimitIsNotNoLimit) {
  const auto claims = verify(
      sign(R"({"alg":"HS256"})", R"({"exp":1700000060,"streams":0.5,"rate":1e-9})", kSecret));
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->streams, 1U);
  EXPECT_EQ(claims->rate, 1U);
  for (const char* limit : {"-1", "-0.5", "\"1\"", "true", "null", "[1]"}) {
    const std::string payload = R"({"exp":1700000060,"streams":)" + std::string(limit) + "}";
    EXPECT_EQ(rule_of(sign(R"({"alg":"HS256"})", payload, kSecret)), "token_invalid claims")
        << limit;
  }
}

TEST_F(TokenTest, AClaimThatNamesNoUrlIsInvalid) {
  for (const std::string name : {"url", "prefix"}) {
    for (const char* text : {"", "live", "/live/", "ftp://a/", "http://", "http://a b/"}) {
      const std::string payload = R"({"exp":1700000060,")" + name + "\":\"" + text + "\"}";
      EXPECT_EQ(rule_of(sign(R"({"alg":"HS256"})", payload, kSecret)), "token_invalid " + name)
          << text;
    }
  }
}

TEST_F(TokenTest, ATokenWithoutExpiryIsValidOnlyIfTheConfigurationAllowsIt) {
  const std::string token = sign(R"({"alg":"HS256"})", "{}", kSecret);
  EXPECT_EQ(rule_of(token), "token_invalid exp is missing");
  config_.require_expiry = false;
  EXPECT_EQ(verify(token)->expires, 0);
}

TEST_F(TokenTest, NamesTheRuleThatATokenBreaks) {
  const std::string payload = R"({"exp":1700000060})";
  EXPECT_EQ(rule_of(""), "token_invalid not a JWT");
  EXPECT_EQ(rule_of("a.b"), "token_invalid not a JWT");
  EXPECT_EQ(rule_of("a.b.c.d"), "token_invalid not a JWT");
  EXPECT_EQ(rule_of("a=.b.c"), "token_invalid not base64url");
  EXPECT_EQ(rule_of(sign(R"({"alg":"none"})", payload, kSecret)), "token_invalid signature");
  EXPECT_EQ(rule_of(sign(R"(["alg"])", payload, kSecret)), "token_invalid header");
  EXPECT_EQ(rule_of(sign(R"({"alg":"HS256","crit":["x"]})", payload, kSecret)),
            "token_invalid crit");
  EXPECT_EQ(rule_of(sign(R"({"alg":"HS256"})", R"({"exp":1700000060,"exp":1700000060})", kSecret)),
            "token_invalid claims");
  EXPECT_EQ(rule_of(sign(R"({"alg":"HS256"})", R"({"exp":1700000060} x)", kSecret)),
            "token_invalid claims");
  const std::string nul(1, '\0');
  EXPECT_EQ(rule_of(sign(R"({"alg":"HS256"})" + nul, payload, kSecret)), "token_invalid header");
  EXPECT_EQ(rule_of(sign(R"({"alg":"HS256"})", payload + nul + "{}", kSecret)),
            "token_invalid claims");
  EXPECT_EQ(
      rule_of(sign(R"({"alg":"HS256"})", R"({"exp":1700000060,"ip":"10.0.0.1:80"})", kSecret)),
      "token_invalid ip");
  EXPECT_EQ(rule_of(std::string(TokenVerifier::kMaxBytes + 1, 'a')), "token_invalid too long");
}

TEST_F(TokenTest, RevokedKeysAndTokensAreInvalid) {
  const std::string token = sign(R"({"alg":"HS256"})", R"({"exp":1700000060,"jti":"t1"})", kSecret);
  config_.revoked = {"t1"};
  EXPECT_EQ(rule_of(token), "token_invalid revoked");
  verifier_.reset();
  config_.revoked = {"site"};
  EXPECT_EQ(rule_of(token), "token_invalid revoked");
}

TEST_F(TokenTest, AVerifiedTokenIsStillComparedWholeAndItsTimesAreChecked) {
  const std::string times =
      R"("nbf":)" + std::to_string(kNow) + R"(,"exp":)" + std::to_string(kNow + 100);
  const std::string token =
      sign(R"({"alg":"HS256"})", R"({"prefix":"http://a.example/",)" + times + "}", kSecret);
  EXPECT_FALSE(verify(""));
  for (int i = 0; i < 2; ++i) {
    const auto claims = verify(token);
    ASSERT_TRUE(claims) << i;
    EXPECT_EQ(claims->key, &config_.keys.front());
    EXPECT_EQ(claims->prefix->to_string(), "http://a.example/");
    EXPECT_EQ(claims->expires, kNow + 100);
  }
  EXPECT_EQ(verify(token, kNow + 100 + TokenVerifier::kSkew).error().reason, Reason::token_expired);
  EXPECT_EQ(verify(token, kNow - 1 - TokenVerifier::kSkew).error().detail, "nbf");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify(other)) << i;
  }
  EXPECT_FALSE(verify(token.substr(0, token.size() - 1)));
  EXPECT_FALSE(verify(token + "A"));
  EXPECT_TRUE(verify(token));
}

}  // namespace
}  // namespace streamgate
