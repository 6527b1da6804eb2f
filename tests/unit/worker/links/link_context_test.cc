#include "worker/links/link_context.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/url.h"

namespace streamgate {
namespace {

struct Parameter {
  std::string name;
  std::string raw_value;
};

// Reads the parameters in order; all of them must be accepted.
LinkContext link_of(const std::vector<Parameter>& parameters) {
  LinkContext link;
  for (const auto& [name, raw_value] : parameters) {
    EXPECT_TRUE(take_link_parameter(name, raw_value, link)) << name;
  }
  return link;
}

std::string query_form(const LinkContext& link, ChildOrigin origin = ChildOrigin::same) {
  std::string text;
  append_query_form(link, origin, text);
  return text;
}

// Splits a query form and reads it again.
LinkContext read_query_form(std::string_view text) {
  std::vector<Parameter> parameters;
  while (!text.empty()) {
    EXPECT_EQ(text.front(), '&');
    text.remove_prefix(1);
    const std::string_view raw = text.substr(0, text.find('&'));
    text.remove_prefix(raw.size());
    const size_t equals = raw.find('=');
    parameters.push_back(
        {percent_decode(raw.substr(0, equals)), std::string(raw.substr(equals + 1))});
  }
  return link_of(parameters);
}

const std::vector<Parameter> kParameters = {{"h_X-A", "1%262"},
                                            {"h_authorization", "Bearer%20t"},
                                            {"h_Cookie", "c"},
                                            {"referer", "http%3A%2F%2Fr%2F%3Fa+b"},
                                            {"h_X&B", "%22+x"}};

TEST(LinkContext, RecognisesItsParameters) {
  for (const char* name : {"referer", "h_X", "h_", "sg_c", "sg_v", "sg_k", "sg_segments",
                           "sg_max_height", "sg_max_bandwidth"}) {
    EXPECT_TRUE(is_link_parameter(name)) << name;
  }
  for (const char* name :
       {"", "url", "Referer", "referer2", "h", "H_X", "sg_", "sg_vv", "sg_grant", "_HLS_msn"}) {
    EXPECT_FALSE(is_link_parameter(name)) << name;
  }
}

TEST(LinkContext, QueryFormIsTheRefererAndThenTheHeadersInTheirOrder) {
  EXPECT_EQ(query_form(link_of(kParameters)),
            "&referer=http%3A%2F%2Fr%2F%3Fa%2Bb&h_X-A=1%262&h_authorization=Bearer%20t&h_Cookie=c"
            "&h_X%26B=%22%20x");
  EXPECT_EQ(query_form({}), "");
}

TEST(LinkContext, QueryFormForAnotherOriginHasNoAuthorizationAndNoCookie) {
  EXPECT_EQ(query_form(link_of(kParameters), ChildOrigin::other),
            "&referer=http%3A%2F%2Fr%2F%3Fa%2Bb&h_X-A=1%262&h_X%26B=%22%20x");
}

TEST(LinkContext, QueryFormIsAppended) {
  std::string text = "?url=x";
  append_query_form(link_of({{"h_X", "y"}}), ChildOrigin::same, text);
  EXPECT_EQ(text, "?url=x&h_X=y");
}

TEST(LinkContext, QueryFormReadsBackAsTheSameContext) {
  const LinkContext link = link_of(kParameters);
  const LinkContext again = read_query_form(query_form(link));
  EXPECT_EQ(again.referer, link.referer);
  EXPECT_EQ(again.headers, link.headers);
  EXPECT_EQ(query_form(again), query_form(link));
}

TEST(LinkContext, QueryFormHasTheOptionsBehindTheCookies) {
  const LinkContext link = link_of({{"sg_max_bandwidth", "9"},
                                    {"sg_segments", "%64irect"},
                                    {"sg_max_height", "720"},
                                    {"sg_c", "Yw"},
                                    {"sg_v", "YQ"},
                                    {"sg_k", "steering"},
                                    {"h_A", "1"}});
  EXPECT_EQ(link.kind, LinkKind::steering);
  EXPECT_EQ(link.variables, "YQ");
  // The children do not inherit the variables and the kind.
  const std::string form = "&h_A=1&sg_c=Yw&sg_segments=direct&sg_max_height=720&sg_max_bandwidth=9";
  EXPECT_EQ(query_form(link), form);
  EXPECT_EQ(query_form(read_query_form(form)), form);
  std::string child;
  append_query_form_of_child(form, link_of({{"sg_k", "assets"}, {"sg_v", "Yg"}, {"h_A", "2"}}),
                             child);
  EXPECT_EQ(child,
            "&h_A=2&sg_c=Yw&sg_v=Yg&sg_k=assets&sg_segments=direct&sg_max_height=720"
            "&sg_max_bandwidth=9");
}

TEST(LinkContext, QueryFormHasThreeParts) {
  constexpr std::string_view kHeaders = "&referer=http%3A%2F%2Fa%2F&h_sg_X=1&sg_c=AA";
  for (const std::string document : {"", "&sg_v=AA", "&sg_k=assets", "&sg_v=AA&sg_k=assets"}) {
    for (const char* options : {"", "&sg_max_height=720", "&sg_grant=1.a"}) {
      const std::string form = std::string(kHeaders) + document + options;
      EXPECT_EQ(parts_of(form).headers, kHeaders) << form;
      EXPECT_EQ(parts_of(form).document, document) << form;
      EXPECT_EQ(parts_of(document + options).headers, "");
      EXPECT_EQ(parts_of(document + options).document, document);
    }
  }
}

TEST(LinkContext, TheWholeQueryFormHasVariablesAndTheKind) {
  for (const std::string form :
       {"", "&h_A=1", "&h_A=1&sg_c=Yw&sg_v=Yg&sg_k=assets&sg_segments=direct"}) {
    std::string whole;
    append_whole_query_form(read_query_form(form), whole);
    EXPECT_EQ(whole, form);
  }
}

TEST(LinkContext, RefusesImpossibleValuesOfOptions) {
  for (const Parameter& parameter : std::vector<Parameter>{{"sg_segments", ""},
                                                           {"sg_segments", "Proxy"},
                                                           {"sg_max_height", ""},
                                                           {"sg_max_height", "1.5"},
                                                           {"sg_max_bandwidth", "4294967296"},
                                                           {"sg_v", "a.b"}}) {
    LinkContext link;
    const auto taken = take_link_parameter(parameter.name, parameter.raw_value, link);
    ASSERT_FALSE(taken) << parameter.name << "=" << parameter.raw_value;
    EXPECT_EQ(taken.error().reason, Reason::bad_request);
  }
  LinkContext link;
  EXPECT_TRUE(take_link_parameter("sg_k", "of-a-later-version", link));
  EXPECT_EQ(link.kind, LinkKind::any);
}

}  // namespace
}  // namespace streamgate
