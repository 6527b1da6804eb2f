#include "worker/documents/detector.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace streamgate {
namespace {

using namespace std::string_literals;

std::optional<DocumentKind> of_bytes(std::string_view bytes) {
  return detect_kind("video/mp2t", "/a.ts", bytes, false);
}
std::optional<DocumentKind> claimed(std::string_view bytes, bool complete = true) {
  return detect_kind("application/octet-stream", "/live/a.M3U8", bytes, complete);
}

TEST(DocumentDetector, HeaderDecidesBeforeTypeAndName) {
  for (const char* type : {"", "text/plain", "text/html", "video/mp2t", "image/jpeg"}) {
    EXPECT_EQ(detect_kind(type, "/a.jpg", "#EXTM3U\n", false), DocumentKind::hls) << type;
  }
  EXPECT_EQ(of_bytes("\xEF\xBB\xBF#EXTM3U"), DocumentKind::hls);
  EXPECT_EQ(of_bytes(" \r\n\t\n#EXTM3U x-tvg-url=\"u\""), DocumentKind::hls);
}

TEST(DocumentDetector, FirstByteOfMediaDecides) {
  for (const std::string& first : {"G"s, "\0"s, "\xff"s, "\x89"s, "I"s, "{"s, "\x1f"s}) {
    EXPECT_EQ(of_bytes(first), DocumentKind::none);
  }
}

TEST(DocumentDetector, NeedsMoreBytesWhileTheHeaderIsPossible) {
  const std::string text = "\xEF\xBB\xBF \n#EXTM3U";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(of_bytes(text.substr(0, size)), std::nullopt) << size;
    EXPECT_EQ(detect_kind("", "/", text.substr(0, size), true), DocumentKind::none) << size;
  }
  EXPECT_EQ(of_bytes("#EXTINF"), DocumentKind::none);
  EXPECT_EQ(of_bytes("#EXTM3"), std::nullopt);
}

TEST(DocumentDetector, DecidesAfterKSniffBytes) {
  EXPECT_EQ(of_bytes(std::string(kSniffBytes - 1, '\n')), std::nullopt);
  EXPECT_EQ(of_bytes(std::string(kSniffBytes, '\n')), DocumentKind::none);
  EXPECT_EQ(claimed(std::string(kSniffBytes, 'G'), false), DocumentKind::hls);
}

TEST(DocumentDetector, TextThatClaimsToBeAPlaylistIsAPlaylist) {
  EXPECT_EQ(claimed("#EXTINF:10,\na.ts\n", false), DocumentKind::hls);
  EXPECT_EQ(claimed("http://h/a.mp3\n"), DocumentKind::hls);
  EXPECT_EQ(claimed("Gemini/01.ts\n"), DocumentKind::hls);
  EXPECT_EQ(claimed("Gemini", false), std::nullopt);
  EXPECT_EQ(claimed("\xc3\xa9t\xc3\xa9.ts"), DocumentKind::hls);
  EXPECT_EQ(detect_kind("Audio/X-MpegURL; charset=utf-8", "/x", "a.mp3", true), DocumentKind::hls);
  EXPECT_EQ(detect_kind("text/plain", "/x", "#EXTINF:1,\na.ts", true), DocumentKind::none);
}

TEST(DocumentDetector, OtherBytesThatClaimToBeAPlaylistAreNoPlaylist) {
  for (const std::string& body :
       {"<html>"s, "{\"error\":1}"s, " <!doctype"s, "\x47\x40\x00\x10\x00"s, "GAA1\x07\x10"s,
        "\0\0\0\x18"s + "ftypmp42", "\x1f\x8b\x08"s, "ID3\x04\0"s, "RIFF\x24\x08\0\0"s, "\xff\xfb"s,
        "\x89PNG"s, "#EXT\0"s, ""s}) {
    EXPECT_EQ(claimed(body), DocumentKind::none) << body;
  }
}

TEST(DocumentDetector, HeaderMayFollowLinesOfMarkup) {
  const std::string text = "<br />\n<b>Warning</b>: x in <b>/a.php</b><br />\n#EXTM3U";
  for (const char* type : {"text/html; charset=UTF-8", "text/plain", "audio/x-mpegurl"}) {
    for (const std::string behind : {"\n", "\r\n", " a=b\n"}) {
      EXPECT_EQ(detect_kind(type, "/get.php", text + behind, false), DocumentKind::hls) << behind;
    }
    EXPECT_EQ(detect_kind(type, "/get.php", text + "x\n", true), DocumentKind::none);
    for (size_t size = 1; size <= text.size(); ++size) {
      EXPECT_EQ(detect_kind(type, "/get.php", text.substr(0, size), false), std::nullopt) << size;
    }
    for (const char* page : {"<!DOCTYPE html>\n<pre>\n", "<HTML>\n"}) {
      const std::string whole = page + std::string("#EXTM3U\na.ts\n");
      EXPECT_EQ(detect_kind(type, "/get.php", whole, true), DocumentKind::none) << page;
    }
  }
  EXPECT_EQ(of_bytes(text + "\n"), DocumentKind::none);  // video/mp2t
}

TEST(DocumentDetector, HeaderMayFollowOtherTextInTheFirstLine) {
  for (const std::string junk :
       {"<!-- built -->", "\x01", "\xEF\xBB\xBF\xEF\xBB\xBF", "0 ", "{}"}) {
    const std::string text = junk + "#EXTM3U";
    for (const std::string behind : {"\n", "\r\n", " \n", " a=b\n"}) {
      EXPECT_EQ(claimed(text + behind), DocumentKind::hls) << text << behind;
      EXPECT_EQ(detect_kind("Text/HTML", "/list.php", text + behind, false), DocumentKind::hls);
      EXPECT_EQ(of_bytes(text + behind), DocumentKind::none);
    }
    for (size_t size = 1; size < text.size(); ++size) {
      EXPECT_NE(claimed(text.substr(0, size), false), DocumentKind::none) << size;
    }
    EXPECT_EQ(detect_kind("text/html", "/", text + "\\n\"\n", true), DocumentKind::none);
    EXPECT_EQ(detect_kind("text/html", "/", text + " is a header\n", true), DocumentKind::none);
    EXPECT_EQ(detect_kind("text/html", "/", "<p>\n" + text + "\n", true), DocumentKind::none);
  }
}

TEST(DocumentDetector, ReadsUtf16WithAByteOrderMark) {
  const std::string little = "\xFF\xFE#\0E\0X\0T\0M\0003\0U\0\n\0"s;
  const std::string big = "\xFE\xFF\0#\0E\0X\0T\0M\0003\0U\0\n"s;
  for (const std::string& text : {little, big}) {
    EXPECT_EQ(of_bytes(text), DocumentKind::hls);
    for (size_t size = 1; size < 15; ++size) {
      EXPECT_EQ(claimed(text.substr(0, size), false), std::nullopt) << size;
    }
  }
  EXPECT_EQ(of_bytes("\xFF\xFEG\0"s), DocumentKind::none);
  EXPECT_EQ(claimed("\xFF\xFEh\0t\0t\0p\0"s), DocumentKind::hls);
  EXPECT_EQ(claimed("\xFF\xFE\0\0\0\1\2\3"s), DocumentKind::none);
}

TEST(DocumentDetector, ClaimedKindIgnoresLetterCaseAndParameters) {
  for (const char* type :
       {"application/vnd.apple.mpegurl", " Application/X-MPEGURL ; charset=x", "audio/mpegurl"}) {
    EXPECT_EQ(claimed_kind(type, "/a.ts"), DocumentKind::hls) << type;
  }
  for (const char* path : {"/a/b.M3u8", "/b.m3u?x=/y.ts"}) {
    EXPECT_EQ(claimed_kind("video/mp2t", path), DocumentKind::hls) << path;
  }
  EXPECT_EQ(claimed_kind("application/vnd.apple.mpegurlx", "/a"), DocumentKind::none);
  EXPECT_EQ(claimed_kind("", ""), DocumentKind::none);
  for (const char* path : {"/b.ts?x=.m3u8", "/m3u8", "/a.m3u8x"}) {
    EXPECT_EQ(claimed_kind("video/mp2t", path), DocumentKind::none) << path;
  }
}

TEST(DocumentDetector, WaitsForASecondByteBehindTheFirstOfGzip) {
  EXPECT_EQ(claimed("\x1f", false), std::nullopt);
}

TEST(DocumentDetector, AControlByteMakesABodyBinary) {
  EXPECT_TRUE(looks_binary("a\x1b"));
  EXPECT_FALSE(looks_binary("#EXTM3U\r\n\ta\xc3\xa9"));
}

TEST(DocumentDetector, FindsAnMpdByItsRootElement) {
  for (const std::string text :
       {"<MPD>", "<MPD xmlns='u'>", "\xEF\xBB\xBF\n<?xml version='1.0'?>\n<!-- > <a> --><MPD/>",
        "<m:MPD\n", "<!DOCTYPE MPD [<!ENTITY a '>'>]><MPD>", "<!DOCTYPE x><MPD "}) {
    for (const char* type : {"video/mp4", "text/html", "application/vnd.apple.mpegurl", ""}) {
      EXPECT_EQ(detect_kind(type, "/", text, false), DocumentKind::mpd) << text;
    }
    for (size_t size = 1; size < text.size(); ++size) {
      const auto kind = detect_kind("video/mp4", "/", text.substr(0, size), false);
      EXPECT_TRUE(!kind || kind == DocumentKind::mpd) << text.substr(0, size);
    }
  }
  EXPECT_EQ(of_bytes("\xFF\xFE<\0M\0P\0D\0>\0"s), DocumentKind::mpd);
}

TEST(DocumentDetector, OtherRootElementsAreNoMpdForAnyContentType) {
  for (const char* text : {"<html>", "<!DOCTYPE html>\n<html>", "<Patch xmlns='u'>", "<MPDx>",
                           "<mpd>", "<?xml version='1.0'?><svg ", "MPD", "{}", "G@"}) {
    EXPECT_EQ(detect_kind("application/dash+xml", "/m.mpd", text, true), DocumentKind::none)
        << text;
    EXPECT_EQ(detect_kind("video/mp4", "/m", text, true), DocumentKind::none) << text;
  }
}

TEST(DocumentDetector, TheClaimDecidesIfTheRootElementIsFarAway) {
  const std::string text = "<!-- " + std::string(kSniffBytes, 'x');
  EXPECT_EQ(detect_kind("application/dash+xml; charset=utf-8", "/", text, false),
            DocumentKind::mpd);
  EXPECT_EQ(detect_kind("text/plain", "/a.MPD?x", text, false), DocumentKind::mpd);
  EXPECT_EQ(claimed_kind("Video/vnd.mpeg.dash.mpd", "/a.m3u8"), DocumentKind::mpd);
  EXPECT_EQ(claimed_kind("audio/mpegurl", "/a.mpd"), DocumentKind::hls);
}

// A licence before the root element may be long.
TEST(DocumentDetector, WithoutAClaimTheRootElementMayFollowALongProlog) {
  const std::string comment = "<?xml version='1.0'?>\n<!-- " + std::string(8000, 'x') + " -->\n";
  const std::string endless = "<!-- " + std::string(kPrologBytes, 'x');
  for (const char* type : {"", "text/plain", "application/octet-stream"}) {
    EXPECT_EQ(detect_kind(type, "/m", comment, false), std::nullopt) << type;
    EXPECT_EQ(detect_kind(type, "/m", comment + "<MPD>", false), DocumentKind::mpd) << type;
    EXPECT_EQ(detect_kind(type, "/m", comment + "<svg ", false), DocumentKind::none) << type;
    EXPECT_EQ(detect_kind(type, "/m", endless, false), DocumentKind::none) << type;
    EXPECT_EQ(detect_kind(type, "/m", comment, true), DocumentKind::none) << type;
  }
  std::string utf16 = "\xFF\xFE";
  for (const char c : comment + "<MPD>") utf16.append({c, '\0'});
  EXPECT_EQ(detect_kind("", "/m", utf16.substr(0, 4000), false), std::nullopt);
  EXPECT_EQ(detect_kind("", "/m", utf16, false), DocumentKind::mpd);
}

}  // namespace
}  // namespace streamgate
