#include "worker/documents/detector.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

using namespace std::string_literals;

Verdict of_bytes(std::string_view bytes) {
  return detect_playlist("video/mp2t", "/a.ts", bytes, false);
}
Verdict hinted(std::string_view bytes, bool complete = true) {
  return detect_playlist("application/octet-stream", "/live/a.M3U8", bytes, complete);
}

TEST(PlaylistDetector, TheHeaderWinsOverEveryTypeAndName) {
  for (const char* type : {"", "text/plain", "text/html", "video/mp2t", "image/jpeg"}) {
    EXPECT_EQ(detect_playlist(type, "/a.jpg", "#EXTM3U\n", false), Verdict::playlist) << type;
  }
  EXPECT_EQ(of_bytes("\xEF\xBB\xBF#EXTM3U"), Verdict::playlist);
  EXPECT_EQ(of_bytes(" \r\n\t\n#EXTM3U x-tvg-url=\"u\""), Verdict::playlist);
}

TEST(PlaylistDetector, OneByteDecidesForMedia) {
  for (const std::string& first : {"G"s, "\0"s, "\xff"s, "\x89"s, "I"s, "<"s, "{"s, "\x1f"s}) {
    EXPECT_EQ(of_bytes(first), Verdict::other);
  }
}

TEST(PlaylistDetector, WaitsWhileTheHeaderMayStillCome) {
  const std::string text = "\xEF\xBB\xBF \n#EXTM3U";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(of_bytes(text.substr(0, size)), Verdict::need_more) << size;
    EXPECT_EQ(detect_playlist("", "/", text.substr(0, size), true), Verdict::other) << size;
  }
  EXPECT_EQ(of_bytes("#EXTINF"), Verdict::other);
  EXPECT_EQ(of_bytes("#EXTM3"), Verdict::need_more);
}

TEST(PlaylistDetector, NeverWaitsForMoreThanItSniffs) {
  EXPECT_EQ(of_bytes(std::string(kSniffBytes - 1, '\n')), Verdict::need_more);
  EXPECT_EQ(of_bytes(std::string(kSniffBytes, '\n')), Verdict::other);
  EXPECT_EQ(hinted(std::string(kSniffBytes, 'G'), false), Verdict::playlist);
}

TEST(PlaylistDetector, TextBehindAPlaylistsNameIsAPlaylist) {
  EXPECT_EQ(hinted("#EXTINF:10,\na.ts\n", false), Verdict::playlist);
  EXPECT_EQ(hinted("http://h/a.mp3\n"), Verdict::playlist);
  EXPECT_EQ(hinted("Gemini/01.ts\n"), Verdict::playlist);
  EXPECT_EQ(hinted("Gemini", false), Verdict::need_more);
  EXPECT_EQ(hinted("\xc3\xa9t\xc3\xa9.ts"), Verdict::playlist);
  EXPECT_EQ(detect_playlist("Audio/X-MpegURL; charset=utf-8", "/x", "a.mp3", true),
            Verdict::playlist);
  EXPECT_EQ(detect_playlist("text/plain", "/x", "#EXTINF:1,\na.ts", true), Verdict::other);
}

TEST(PlaylistDetector, OtherBytesBehindAPlaylistsNamePassThrough) {
  for (const std::string& body :
       {"<html>"s, "{\"error\":1}"s, " <!doctype"s, "\x47\x40\x00\x10\x00"s, "GAA1\x07\x10"s,
        "\0\0\0\x18"s + "ftypmp42", "\x1f\x8b\x08"s, "ID3\x04\0"s, "RIFF\x24\x08\0\0"s, "\xff\xfb"s,
        "\x89PNG"s, "#EXT\0"s, ""s}) {
    EXPECT_EQ(hinted(body), Verdict::other) << body;
  }
}

TEST(PlaylistDetector, KnowsTypesAndExtensionsInAnyCase) {
  EXPECT_TRUE(is_playlist_type("application/vnd.apple.mpegurl"));
  EXPECT_TRUE(is_playlist_type(" Application/X-MPEGURL ; charset=x"));
  EXPECT_FALSE(is_playlist_type("application/vnd.apple.mpegurlx"));
  EXPECT_FALSE(is_playlist_type(""));
  EXPECT_TRUE(has_playlist_extension("/a/b.M3u8"));
  EXPECT_TRUE(has_playlist_extension("/b.m3u?x=/y.ts"));
  EXPECT_FALSE(has_playlist_extension("/b.ts?x=.m3u8"));
  EXPECT_FALSE(has_playlist_extension("/m3u8"));
}

TEST(PlaylistDetector, RecognisesGzipWithoutAHeader) {
  EXPECT_TRUE(looks_gzipped("\x1f\x8b\x08"));
  EXPECT_FALSE(looks_gzipped("\x1f"));
  EXPECT_EQ(hinted("\x1f", false), Verdict::need_more);
}

}  // namespace
}  // namespace streamgate
