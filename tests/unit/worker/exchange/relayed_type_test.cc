#include "worker/exchange/relayed_type.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

struct Case {
  const char* declared;  // empty: no Content-Type
  const char* shown;     // by the first bytes; empty: nothing
  const char* path;
  const char* sent;
};

enum class Request { get, head, short_part, later_part };

std::string type_of(const Case& with, Request request, std::string_view target = "") {
  ResponseHead upstream;
  upstream.status = 200;
  if (*with.declared != '\0') upstream.fields = {{"Content-Type", with.declared}};
  RelayedResponse response{upstream, with.path};
  response.framing = {ClientFraming::Kind::length, 1};
  response.media_type = with.shown;
  response.client_target = target;
  if (request == Request::head) response.framing = {};
  if (request == Request::short_part || request == Request::later_part) {
    upstream.status = 206;
    const char* const range = request == Request::short_part ? "bytes 0-1/9" : "bytes 5-8/9";
    upstream.fields.push_back({"Content-Range", range});
  }
  const RelayedType type = type_for_client(response);
  return std::string(type.value) + std::string(type.parameters);
}

TEST(RelayedType, TheFirstBytesCorrectTheContainerOfMedia) {
  const std::vector<Case> cases = {
      {"video/iso.segment", "video/mp4", "/a", "video/mp4"},
      {"Audio/ISO.segment", "video/mp4", "/a", "audio/mp4"},
      {"video/iso.segment", "video/mp4", "/a.m4a", "audio/mp4"},
      {"video/iso.segment", "", "/a", "video/mp4"},
      {"video/mp2t", "video/mp4", "/a", "video/mp4"},
      {"audio/aac", "video/mp4", "/a", "audio/mp4"},
      {"audio/x-m4a", "audio/mp4", "/a", "audio/mp4"},
      {"image/png", "video/mp4", "/a.cmft", "application/mp4"},
      {"image/jpeg", "video/mp2t", "/a.jpg", "video/mp2t"},
      {"video/mp4", "video/mp2t", "/a.mp4", "video/mp2t"},
      {"video/mp4", "text/vtt", "/a", "text/vtt"},
      {"application/vnd.apple.mpegurl", "video/mp2t", "/a", "video/mp2t"},
  };
  for (const Case& with : cases) {
    EXPECT_EQ(type_of(with, Request::get), with.sent) << with.declared << " " << with.path;
  }
}

TEST(RelayedType, RightTypesAndThoseOfOtherMediaStayByteForByte) {
  const std::vector<Case> cases = {
      {"video/mp4; codecs=\"a,b\"", "video/mp4", "/a", ""},
      {"Audio/MP4", "video/mp4", "/a", ""},
      {"application/mp4", "video/mp4", "/a", ""},
      {"video/mp4", "audio/mp4", "/a.m4a", ""},
      {"video/quicktime", "video/mp4", "/a", ""},
      {"video/mp4", "video/quicktime", "/a", ""},
      {"video/MP2T", "video/mp2t", "/a", ""},
      {"text/vtt; charset=utf-8", "text/vtt", "/a", ""},
      {"text/vtt;charset=utf-8", "", "/a.vtt", ""},
      {"image/png", "image/avif", "/a", ""},
      {"image/png", "image/jpeg", "/a", ""},
      {"audio/mp3", "audio/mpeg", "/a", ""},
      {"video/webm", "video/x-matroska", "/a", ""},
      {"multipart/byteranges; boundary=x", "", "/a.ts", ""},
      {"text/plain", "", "/a.ts", ""},
  };
  for (const Case& with : cases) {
    EXPECT_EQ(type_of(with, Request::get), with.declared);
  }
}

TEST(RelayedType, TypesThatAreNoMediaBecomeThoseOfTheFirstBytes) {
  for (const char* declared : {"", "text/plain", "application/octet-stream", "text/html", "a/b"}) {
    EXPECT_EQ(type_of({declared, "video/mp2t", "/a", ""}, Request::get), "video/mp2t");
    EXPECT_EQ(type_of({declared, "video/mp4", "/a", ""}, Request::get), "video/mp4");
    EXPECT_EQ(type_of({declared, "video/mp4", "/a.m4a", ""}, Request::get), "audio/mp4");
    EXPECT_EQ(type_of({declared, "image/png", "/a.m4a", ""}, Request::get), "image/png");
  }
}

TEST(RelayedType, WhereNoFirstBytesAreSeenTheNameCounts) {
  const std::vector<Case> cases = {
      {"video/iso.segment", "", "/a.m4s", "video/mp4"},
      {"video/iso.segment", "", "/a", "video/mp4"},
      {"video/iso.segment", "", "/a.m4a", "audio/mp4"},
      {"text/plain", "", "/a.m4s", "video/mp4"},
      {"", "", "/a.m4a", "audio/mp4"},
      {"video/mp4", "", "/a.ts", "video/mp2t"},
      {"image/png", "", "/a.ts", "video/mp2t"},
      {"audio/mpeg", "", "/a.mp4", "audio/mp4"},
      {"text/html", "", "/a.vtt", "text/vtt"},
      {"video/mp4; a=b", "", "/a.m4a", "video/mp4; a=b"},
      {"video/mp2t", "", "/a.jpg", "video/mp2t"},
      {"multipart/byteranges; boundary=x", "", "/a.ts", "multipart/byteranges; boundary=x"},
  };
  for (const Case& with : cases) {
    for (const Request request : {Request::head, Request::short_part, Request::later_part}) {
      EXPECT_EQ(type_of(with, request), with.sent) << with.declared << " " << with.path;
    }
  }
  EXPECT_EQ(type_of({"text/plain", "", "/a", ""}, Request::head), "text/plain");
  EXPECT_EQ(type_of({"text/plain", "", "/a", ""}, Request::short_part), "text/plain");
  EXPECT_EQ(type_of({"text/plain", "", "/a", ""}, Request::later_part), "application/octet-stream");
}

TEST(RelayedType, TheNamesOfTheLinkCountIfTheLastUrlHasNone) {
  EXPECT_EQ(type_of_names("/a.ts", ""), "video/mp2t");
  EXPECT_EQ(type_of_names("/a", ""), "");
  EXPECT_EQ(type_of_names("/a", "/stream?url=http%3A%2F%2Fh%2Fb.m4a%3Fc.ts"), "audio/mp4");
  EXPECT_EQ(type_of_names("/a", "/stream/b.ts?url=http%3A%2F%2Fh%2Fget.php"), "video/mp2t");
  EXPECT_EQ(type_of_names("/a.bin", "/api/proxy/stream/b.vtt?url=http%3A%2F%2Fh%2F"), "text/vtt");
  EXPECT_EQ(type_of_names("/a", "/health"), "");
}

TEST(RelayedType, ErrorsKeepTheirTypeAndA304HasNone) {
  ResponseHead upstream;
  upstream.fields = {{"Content-Type", "video/iso.segment"}};
  RelayedResponse response{upstream, "/a.ts"};
  upstream.status = 404;
  EXPECT_EQ(type_for_client(response).value, "video/iso.segment");
  upstream.status = 304;
  EXPECT_EQ(type_for_client(response).value, "");
}

TEST(RelayedType, TheDeclaredTypeDecidesHowTheFirstBytesAreCompared) {
  using Media = BodySniffer::Media;
  const auto media = [](int status, const char* type, const char* range) {
    ResponseHead head;
    head.status = status;
    head.fields = {{"Content-Type", type}, {"Content-Range", range}};
    return media_to_sniff(head);
  };
  EXPECT_EQ(media(200, "text/plain", ""), Media::wanted);
  EXPECT_EQ(media(200, "application/json", ""), Media::wanted);
  EXPECT_EQ(media(200, "text/vtt", ""), Media::wanted);
  EXPECT_EQ(media(206, "text/plain", "Bytes 0-1/*"), Media::wanted);
  EXPECT_EQ(media(206, "text/plain", "bytes 1-1/2"), Media::ignored);
  EXPECT_EQ(media(206, "text/plain", "bytes 09-1/2"), Media::ignored);
  EXPECT_EQ(media(206, "text/plain", ""), Media::ignored);
  EXPECT_EQ(media(200, "video/mp2t", ""), Media::checked);
  EXPECT_EQ(media(200, "application/ogg", ""), Media::checked);
  EXPECT_EQ(media_to_sniff(ResponseHead{}), Media::wanted);
}

}  // namespace
}  // namespace streamgate
