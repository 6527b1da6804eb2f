#include "worker/http/accept_encoding.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(AcceptEncoding, WeightsDecideBetweenGzipAndIdentity) {
  const auto prefers = [](const char* value) { return prefers_gzip({{"accept-encoding", value}}); };
  for (const char* value :
       {"gzip", "GZip", "x-gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*",
        "gzip;q=0.001", "gzip ; Q = 1.000", "gzip;q=0.5, identity;q=0.5", "identity;q=0, *",
        "identity;q=0, gzip;q=0.1", "*;q=0, gzip", "gzip;q=1.", ",, gzip ,"}) {
    EXPECT_TRUE(prefers(value)) << value;
  }
  for (const char* value : {"",
                            "identity",
                            "deflate, br, zstd",
                            "gzip;q=0",
                            "gzip;q=0.000",
                            "gzip;q=0, *",
                            "x-gzip;q=0",
                            "*;q=0",
                            "identity;q=0",
                            "identity;q=1, *;q=0",
                            "gzip;q=0.4, identity;q=0.5",
                            "gzip;q=0.5, *",
                            "gzip;q=abc",
                            "gzip;q=",
                            "gzip;q=2",
                            "gzip;q=1.5",
                            "gzip;q=-1",
                            "gzip;x=1",
                            "gzipped",
                            "agzip"}) {
    EXPECT_FALSE(prefers(value)) << value;
  }
}

TEST(AcceptEncoding, AllFieldsCountAndNoneMeansNoGzip) {
  EXPECT_FALSE(prefers_gzip({}));
  EXPECT_FALSE(prefers_gzip({{"Accept", "gzip"}}));
  EXPECT_TRUE(prefers_gzip({{"Accept-Encoding", "br"}, {"Accept-Encoding", "gzip"}}));
  EXPECT_FALSE(prefers_gzip({{"Accept-Encoding", "gzip;q=0.5"}, {"Accept-Encoding", "identity"}}));
}

TEST(AcceptEncoding, ACrossSiteRequestWithCredentialsIsNotCompressed) {
  const HeaderField gzip{"Accept-Encoding", "gzip"};
  const HeaderField cross_site{"sec-fetch-site", "Cross-Site"};
  EXPECT_TRUE(may_be_compressed({gzip}));
  EXPECT_TRUE(may_be_compressed({gzip, cross_site}));
  EXPECT_TRUE(may_be_compressed({gzip, {"Cookie", "a=b"}}));
  EXPECT_TRUE(may_be_compressed({gzip, {"Cookie", "a=b"}, {"Sec-Fetch-Site", "same-origin"}}));
  EXPECT_FALSE(may_be_compressed({gzip, cross_site, {"cookie", "a=b"}}));
  EXPECT_FALSE(may_be_compressed({gzip, cross_site, {"Authorization", "Basic eA=="}}));
  EXPECT_FALSE(may_be_compressed({cross_site}));
}

}  // namespace
}  // namespace streamgate
