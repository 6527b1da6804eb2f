#include "worker/documents/media_sniffer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

using namespace std::string_literals;

std::string packets(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += "\x47\x40\0\x10"s + std::string(184, '\xff');
  return out;
}

// An ADTS frame of 100 bytes.
std::string adts() { return "\xff\xf1\x50\x80\x0c\x9f\xfc"s + std::string(93, 'x'); }

// An MPEG-1 Layer III frame of 128 kbit/s and 44,100 Hz: 417 bytes.
std::string mp3() { return "\xff\xfb\x90\x64"s + std::string(413, '\0'); }

std::string id3(size_t size) {
  return "ID3\x04\0\0\0\0"s + static_cast<char>(size >> 7U) + static_cast<char>(size & 0x7fU) +
         std::string(size, 'i');
}

struct Sample {
  std::string bytes;
  const char* type;
};

const std::vector<Sample> kSamples = {
    {packets(20), "video/mp2t"},
    {packets(1), "video/mp2t"},
    {"\0\0\0\x20"s + "ftypisom" + std::string(40, 'x'), "video/mp4"},
    {"\0\0\0\x20"s + "ftypM4A " + std::string(40, 'x'), "audio/mp4"},
    {"\0\0\0\x20"s + "ftypavif" + std::string(40, 'x'), "image/avif"},
    {"\0\0\0\x18"s + "stypmsdh" + std::string(40, 'x'), "video/mp4"},
    {"\0\0\x02\x18"s + "moof" + std::string(40, 'x'), "video/mp4"},
    {"\0\0\0\x2c"s + "sidx" + std::string(40, 'x'), "video/mp4"},
    {"\0\0\0\x08"s + "wide" + std::string(40, 'x'), "video/mp4"},
    {"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm"s + std::string(60, 'x'), "video/webm"},
    {"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska"s + std::string(60, 'x'), "video/x-matroska"},
    {adts() + adts(), "audio/aac"},
    {id3(63) + adts(), "audio/aac"},
    {mp3() + mp3(), "audio/mpeg"},
    {id3(63) + mp3(), "audio/mpeg"},
    {id3(4000), "audio/mpeg"},
    {"fLaC\0\0\0\x22"s, "audio/flac"},
    {"OggS\0\x02"s, "application/ogg"},
    {"FLV\x01\x05"s, "video/x-flv"},
    {"RIFF\x24\x08\0\0WAVEfmt "s, "audio/wav"},
    {"RIFF\x24\x08\0\0WEBPVP8 "s, "image/webp"},
    {"RIFF\x24\x08\0\0AVI LIST"s, "video/x-msvideo"},
    {"\xff\xd8\xff\xe0"s, "image/jpeg"},
    {"\x89PNG\r\n\x1a\n"s, "image/png"},
    {"GIF89a\x01"s, "image/gif"},
    {"GIF87a\x01"s, "image/gif"},
    {"\0\0\x01\xba\x44"s, "video/mpeg"},
    {"WEBVTT\n\n"s, "text/vtt"},
    {"\xEF\xBB\xBFWEBVTT - title\n"s, "text/vtt"},
    {"WEBVTT"s, "text/vtt"},
};

TEST(MediaSniffer, SignaturesAreFound) {
  for (const Sample& sample : kSamples) {
    EXPECT_EQ(sniff_media_type(sample.bytes, true), sample.type);
  }
}

TEST(MediaSniffer, EveryShorterBeginningWaitsOrDecidesTheSame) {
  for (const Sample& sample : kSamples) {
    for (size_t size = 0; size < sample.bytes.size(); ++size) {
      const auto type = sniff_media_type(std::string_view(sample.bytes).substr(0, size), false);
      EXPECT_EQ(type.value_or(sample.type), sample.type) << size;
    }
  }
}

TEST(MediaSniffer, OtherBodiesHaveNoTypeAndDecideAtOnce) {
  for (const std::string& body :
       {"<html>"s, "{\"a\":1}"s, "hello"s, "PK\x03\x04"s, "\x1f\x8b\x08"s, "%PDF-1.7"s,
        "event: a\n\n"s, "WEBVTTX\n"s, "Idle"s, "Rome"s, "\xff\xfe<\0h\0t\0m\0"s, "\xff\xd9zz"s}) {
    EXPECT_EQ(sniff_media_type(body, false), "") << body;
  }
  EXPECT_EQ(sniff_media_type("GIFT"s, true), "");
  EXPECT_EQ(sniff_media_type("", true), "");
  EXPECT_EQ(sniff_media_type("G" + std::string(400, 'o'), false), "");
  EXPECT_EQ(sniff_media_type("G" + std::string(187, 'o') + "G" + std::string(200, 'o'), false), "");
  EXPECT_EQ(sniff_media_type("\0\0\0\x20"s + "xxxxisom", false), "");
  EXPECT_EQ(sniff_media_type(adts() + std::string(100, 'x'), false), "");
  EXPECT_EQ(sniff_media_type(mp3() + std::string(100, 'x'), false), "");
  EXPECT_EQ(sniff_media_type("\xff\xfb\xf0\x64zz"s, false), "");
}

TEST(MediaSniffer, EveryBodyIsDecidedWithinItsBound) {
  for (const Sample& sample : kSamples) {
    std::string body = sample.bytes.substr(0, 12);
    body.resize(kMediaSniffBytes, 'x');
    EXPECT_TRUE(sniff_media_type(body, false));
  }
}

TEST(MediaSniffer, ATypeNamesItsContainer) {
  EXPECT_EQ(container_of("Video/MP2T ; a=b"), Container::transport_stream);
  EXPECT_EQ(container_of("audio/mp4;codecs=x"), Container::mp4);
  EXPECT_EQ(container_of("text/vtt"), Container::webvtt);
  for (const char* type : {"", "video/iso.segment", "audio/x-m4a", "video/webm", "text/plain"}) {
    EXPECT_EQ(container_of(type), Container::other) << type;
  }
}

TEST(MediaSniffer, TheFirstByteTellsWhetherAnotherContainerIsPossible) {
  EXPECT_FALSE(may_be_other_container('G', "video/mp2t"));
  EXPECT_FALSE(may_be_other_container('\0', "Video/MP4; a=b"));
  EXPECT_FALSE(may_be_other_container('W', "text/vtt"));
  for (const char* type : {"", "image/png", "audio/mpeg", "video/iso.segment"}) {
    for (const char first : {'\0', 'G', 'W', '\xEF'}) {
      EXPECT_TRUE(may_be_other_container(first, type)) << type;
    }
    EXPECT_FALSE(may_be_other_container('\xFF', type)) << type;
  }
  EXPECT_TRUE(may_be_other_container('\0', "video/mp2t"));
  EXPECT_TRUE(may_be_other_container('G', "video/mp4"));
}

TEST(MediaSniffer, NameGivesTheTypeOfItsExtension) {
  EXPECT_EQ(media_type_of_name("/a/b.ts"), "video/mp2t");
  EXPECT_EQ(media_type_of_name("/a/b.MP4"), "video/mp4");
  EXPECT_EQ(media_type_of_name("b.x.vtt"), "text/vtt");
  EXPECT_EQ(media_type_of_name("b.cmft"), "application/mp4");
  EXPECT_EQ(media_type_of_name("b.mp4a"), "audio/mp4");
  EXPECT_EQ(media_type_of_name("b.ac3"), "audio/ac3");
  EXPECT_EQ(media_type_of_name("b.ec3"), "audio/ec3");
  EXPECT_EQ(media_type_of_name("b.eac3"), "audio/ec3");
  EXPECT_EQ(media_type_of_name("b.ttml"), "application/ttml+xml");
  for (const char* path : {"", "/", "/ts", "/a.ts/b", "/a.html", "/a.js", "/a.svg", "/a."}) {
    EXPECT_EQ(media_type_of_name(path), "") << path;
  }
}

}  // namespace
}  // namespace streamgate
