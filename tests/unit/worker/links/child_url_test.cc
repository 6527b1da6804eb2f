#include "worker/links/child_url.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate {
namespace {

constexpr std::string_view kBytes = "019amsztSXZ-_~.:/?#%@!&=+;,{}$\"\\ \t\x01\x7f\x80\xff";
constexpr int kRun = 10;  // long enough for a template to be made

// The child URL of `reference` after a run of `before`; nullopt if `reference` stays as it is.
std::optional<std::string> child_url(const DocumentSetting& setting, const std::string& before,
                                     const std::string& reference,
                                     SegmentFormat format = SegmentFormat::none) {
  ChildUrlWriter writer;
  writer.begin(setting);
  BlockBuffer out;
  for (int i = 0; i < kRun && !before.empty(); ++i) writer.append({before, format}, out);
  out.clear();
  if (!writer.append({reference, format}, out)) return std::nullopt;
  return std::string(out.text());
}

std::vector<DocumentSetting> settings() {
  DocumentSetting plain;
  plain.base_url = "http://up.example:8080/live/index.m3u8";
  plain.proxy_origin = "http://proxy";
  plain.route_path = "/stream";
  DocumentSetting with_parameters = plain;
  with_parameters.same_origin_parameters = "&h_Cookie=c";
  DocumentSetting relative = plain;
  relative.proxy_origin = "";
  DocumentSetting prefixed = plain;
  prefixed.proxy_origin = "/prefix";
  DocumentSetting named = plain;
  named.child_urls = HlsConfig::ChildUrls::named;
  DocumentSetting path = with_parameters;
  path.child_urls = HlsConfig::ChildUrls::path;
  DocumentSetting asked_by_path = plain;
  asked_by_path.child_urls = HlsConfig::ChildUrls::path;
  asked_by_path.own_carry = "-";
  return {plain, with_parameters, relative, prefixed, named, path, asked_by_path};
}

// If a reference differs from the one before in one byte, its child URL may be made by patching.
// The result must be the same for every byte at every place.
TEST(ChildUrl, DoesNotDependOnReferencesOfTheSameLengthBefore) {
  const std::vector<std::string> references = {
      "segment-00001.ts",
      "dir/segment-00001.ts?part=v1",
      "seg.00001.m4s",
      "segment.mp3",
      "segment.mpx",
      "segment_without_extension",
      "segment.ts?q=a.ts",
      "segment.ts?q=a.tx#f",
      "/rooted/segment.m4s?token=0a-_~",
      "http://up.example:8080/live/s1.ts",
      "http://ap.example:8080?x=abcdefgh",
      "http://proxy/strea1?url=abcdef.ts",
      "http://proxy/stream1url=abcdef.ts",
      "/prefix/stream/segment.ts",
      "sub/%2e/segment.ts",
      "x1:y/segment.ts",
      "12345678",
  };
  for (const DocumentSetting& setting : settings()) {
    for (const std::string& before : references) {
      for (size_t at = 0; at < before.size(); ++at) {
        for (const char byte : kBytes) {
          std::string reference = before;
          reference[at] = byte;
          for (const SegmentFormat format : {SegmentFormat::none, SegmentFormat::ts}) {
            ASSERT_EQ(child_url(setting, before, reference, format),
                      child_url(setting, "", reference, format))
                << reference << " after " << before;
          }
        }
      }
    }
  }
}

TEST(ChildUrl, DoesNotDependOnARunOfReferencesBefore) {
  const DocumentSetting setting = settings()[1];
  ChildUrlWriter writer;
  writer.begin(setting);
  for (int i = 95; i < 205; ++i) {
    const std::string number = std::to_string(i);
    for (const std::string& reference :
         {"vod/title/segment_" + number + ".ts?part=" + number, "audio/a" + number + ".aac"}) {
      for (int repeated = 0; repeated < kRun; ++repeated) {
        BlockBuffer out;
        ASSERT_TRUE(writer.append(reference, out));
        ASSERT_EQ(std::string(out.text()), child_url(setting, "", reference));
      }
    }
  }
}

TEST(ChildUrl, IsWrittenForReferencesOfAnyLength) {
  const DocumentSetting setting = settings()[1];
  for (size_t size = 1; size < 1200; size += size < 300 ? 1 : 37) {
    const std::string before(size, 'a');
    std::string reference = before;
    reference.back() = 'b';
    ASSERT_EQ(child_url(setting, before, reference), child_url(setting, "", reference)) << size;
  }
}

}  // namespace
}  // namespace streamgate
