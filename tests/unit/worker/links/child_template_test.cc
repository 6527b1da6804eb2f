#include "worker/links/child_template.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace streamgate {
namespace {

const std::string kPrefix = "/stream?url=http%3A%2F%2Fh%2F";
const std::string kParameters = "&referer=http%3A%2F%2Fsite%2F&h_Cookie=c&sg_ext=.ts";

std::string child_of(const std::string& encoded) { return kPrefix + encoded + kParameters; }

// A template made of `reference`, whose encoded form is `encoded`.
ChildTemplate template_of(const std::string& reference, const std::string& encoded) {
  ChildTemplate made;
  made.learn(reference, child_of(encoded), kPrefix.size());
  return made;
}

// nullopt: the reference did not match. Checks that nothing was appended then.
std::optional<std::string> applied(ChildTemplate& made, const std::string& reference) {
  BlockBuffer out;
  if (made.append(reference, out)) return std::string(out.text());
  EXPECT_EQ(out.size(), 0u);
  return std::nullopt;
}

TEST(ChildTemplate, ParametersBehindTheUrlArePartOfTheTemplate) {
  ChildTemplate made = template_of("live/seg-001.ts?a", "live%2Fseg-001.ts%3Fa");
  EXPECT_EQ(applied(made, "live/seg-002.ts?b"), child_of("live%2Fseg-002.ts%3Fb"));
  EXPECT_EQ(applied(made, "live/seg-913.ts?c"), child_of("live%2Fseg-913.ts%3Fc"));
}

TEST(ChildTemplate, FixedBytesDoNotMatch) {
  ChildTemplate made = template_of("dir1/seg1.ts", "dir1%2Fseg1.ts");
  EXPECT_EQ(applied(made, "dir2/seg1.ts"), child_of("dir2%2Fseg1.ts"));
  made.fix(0, 5);
  EXPECT_EQ(applied(made, "dir1/seg1.ts"), std::nullopt);
  EXPECT_EQ(applied(made, "dir2/seg7.ts"), child_of("dir2%2Fseg7.ts"));
}

TEST(ChildTemplate, DotsAndEncodedBytesDoNotMatch) {
  ChildTemplate made = template_of("a/seg.001", "a%2Fseg.001");
  for (const char* other :
       {"a/seg-001", "a/seg.0/1", "a?seg.001", "a/seg.0.1", "a/seg.00%", "a/s g.001"}) {
    EXPECT_EQ(applied(made, other), std::nullopt) << other;
  }
  EXPECT_EQ(applied(made, "b/sig.999"), child_of("b%2Fsig.999"));
}

TEST(ChildTemplate, OtherLengthsDoNotMatch) {
  ChildTemplate made = template_of("segment1.ts", "segment1.ts");
  for (const char* other : {"", "segment.ts", "segment10.ts"}) {
    EXPECT_EQ(applied(made, other), std::nullopt) << other;
  }
  made.forget();
  EXPECT_EQ(applied(made, "segment1.ts"), std::nullopt);
}

TEST(ChildTemplate, IsNotMadeOfTooShortOrTooLongTexts) {
  for (const size_t size : {size_t{7}, size_t{257}}) {
    const std::string reference(size, 'a');
    ChildTemplate made = template_of(reference, reference);
    EXPECT_EQ(applied(made, reference), std::nullopt) << size;
  }
  const std::string reference = "segment1.ts";
  ChildTemplate made = template_of(reference, reference);
  made.learn(reference, std::string(1025, 'c'), 0);
  EXPECT_EQ(applied(made, reference), std::nullopt);
}

}  // namespace
}  // namespace streamgate
