#include "worker/client/error_detail.h"

#include <gtest/gtest.h>

#include <string>

#include "common/reason.h"

namespace streamgate {
namespace {

Audience audience(const std::string& peer, const HeaderFields& fields) {
  return audience_of({}, *SocketAddress::parse(peer), &fields);
}

TEST(ErrorDetail, InsidersAreLocalPeersWithoutAProxyInBetween) {
  for (const char* peer : {"127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "192.168.1.1:1", "[fc00::1]:1",
                           "[::ffff:192.168.1.1]:1"}) {
    EXPECT_EQ(audience(peer, {}), Audience::insiders) << peer;
    EXPECT_EQ(audience(peer, {{"x-forwarded-host", "h"}}), Audience::everyone) << peer;
    EXPECT_EQ(audience_of({}, *SocketAddress::parse(peer), nullptr), Audience::everyone) << peer;
  }
  for (const char* peer : {"8.8.8.8:1", "[2606:4700::1]:1", "[::ffff:8.8.8.8]:1"}) {
    EXPECT_EQ(audience(peer, {}), Audience::everyone) << peer;
  }
}

TEST(ErrorDetail, OtherClientsGetOnlyTheSentenceOfAPublicCause) {
  const Error refused =
      Error::of(Reason::connect_failed, Cause::connection_refused, "10.0.0.1:80: refused");
  EXPECT_EQ(error_for(Audience::everyone, refused).client_detail, "the connection was refused");
  const Error inside =
      Error::of(Reason::target_forbidden, Cause::not_public, "not a public address: 10.0.0.1:80");
  EXPECT_EQ(error_for(Audience::everyone, inside).client_detail, "");
}

TEST(ErrorDetail, InsidersGetTheDetailAndTheKeyWithoutSecrets) {
  const Error inside = Error::of(Reason::target_forbidden, Cause::not_public, "10.0.0.1:80");
  EXPECT_EQ(error_for(Audience::insiders, inside).client_detail,
            "10.0.0.1:80 (see security.allow_private)");
  const Error timeout{Reason::connect_timeout, "at http://u:p@h/x?k=v"};
  EXPECT_EQ(error_for(Audience::insiders, timeout).client_detail,
            "at http://*@h/x?k=* (see upstream.connect_timeout)");
  EXPECT_EQ(error_for(Audience::insiders, {Reason::rate_limited, {}}).client_detail,
            "see limits.per_client.connections");
  const Error own = Error::for_client(Reason::bad_url, "empty");
  EXPECT_EQ(error_for(Audience::insiders, own).client_detail, "empty");
}

TEST(ErrorDetail, EachCauseHasATokenAndASentence) {
  for (int i = 1; i <= static_cast<int>(Cause::own_place); ++i) {
    const CauseInfo& info = info_of(static_cast<Cause>(i));
    EXPECT_FALSE(info.token.empty() || info.sentence.empty() || info.advice.empty()) << i;
  }
}

}  // namespace
}  // namespace streamgate
