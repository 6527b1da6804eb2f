#include "worker/http/fetch_metadata.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(FetchMetadata, ScriptsWorkersAndStyleSheetsWouldRun) {
  for (const char* destination : {"script", "style", "worker", "sharedworker", "serviceworker",
                                  "audioworklet", "paintworklet", "xslt", "Script"}) {
    EXPECT_TRUE(would_run_answer({{"Host", "h"}, {"sec-fetch-dest", destination}})) << destination;
  }
  EXPECT_TRUE(would_run_answer({{"Sec-Fetch-Dest", "empty"}, {"Sec-Fetch-Dest", "script"}}));
  EXPECT_TRUE(would_run_answer({{"service-worker", "script"}}));
  EXPECT_TRUE(would_run_answer({{"Service-Worker", ""}}));
}

TEST(FetchMetadata, OtherRequestsWouldNotRun) {
  EXPECT_FALSE(would_run_answer({}));
  for (const char* destination : {"", "document", "iframe", "frame", "empty", "video", "audio",
                                  "track", "image", "object", "embed", "manifest", "scripts"}) {
    EXPECT_FALSE(would_run_answer({{"Sec-Fetch-Dest", destination}})) << destination;
  }
  EXPECT_FALSE(would_run_answer({{"Sec-Fetch-Mode", "script"}, {"X-Fetch-Dest14", "script"}}));
}

TEST(FetchMetadata, PlayersOfBrowsersAreRecognised) {
  using enum MediaElement;
  EXPECT_EQ(media_element_of({{"Sec-Fetch-Dest", "video"}}), video);
  EXPECT_EQ(media_element_of({{"Sec-Fetch-Dest", "audio"}}), audio);
  EXPECT_EQ(media_element_of({{"Accept", "video/webm,video/ogg,*/*;q=0.5"}}), video);
  EXPECT_EQ(media_element_of({{"Accept", "audio/webm,audio/ogg,*/*;q=0.5"}}), audio);
  for (const char* coding : {"identity", "identity;q=1, *;q=0"}) {
    EXPECT_EQ(media_element_of({{"User-Agent", "Mozilla/5.0"}, {"Accept-Encoding", coding}}),
              video);
    EXPECT_EQ(media_element_of({{"User-Agent", "Python"}, {"Accept-Encoding", coding}}), none);
  }
  EXPECT_EQ(media_element_of({{"Sec-Fetch-Dest", "empty"}, {"Accept", "video/*"}}), none);
  EXPECT_EQ(media_element_of({{"Accept", "*/*"}, {"Accept-Encoding", "gzip"}}), none);
  EXPECT_EQ(media_element_of({}), none);
}

}  // namespace
}  // namespace streamgate
