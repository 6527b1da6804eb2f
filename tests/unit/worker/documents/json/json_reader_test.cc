#include "worker/documents/json/json_reader.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/json_string.h"

namespace streamgate {
namespace {

// Writes the events: `{"a"= "b"1}`.
class Recorder final : public JsonReader::Handler {
 public:
  std::string events;

  bool on_string(std::string_view text) override { return add_string(text); }
  bool on_scalar(std::string_view text) override {
    events.append(text).append(" ");
    return true;
  }
  bool on_name(std::string_view name) override {
    add_string(name);
    events += "=";
    return true;
  }
  bool on_open(char bracket) override { return add(bracket); }
  bool on_close(char bracket) override { return add(bracket); }

 private:
  bool add(char bracket) {
    events += bracket;
    return true;
  }
  bool add_string(std::string_view text) {
    append_json_string(text, events);
    return true;
  }
};

// Null: not JSON.
std::optional<std::string> read_in_pieces(std::string_view text, size_t piece) {
  Recorder recorder;
  JsonReader reader(recorder);
  for (size_t at = 0; at < text.size(); at += piece) {
    if (!reader.read(text.substr(at, piece))) return std::nullopt;
  }
  if (!reader.finish()) return std::nullopt;
  return recorder.events;
}

std::optional<std::string> read(std::string_view text) {
  auto whole = read_in_pieces(text, text.size() + 1);
  for (const size_t piece : {1, 2, 3}) EXPECT_EQ(whole, read_in_pieces(text, piece)) << text;
  return whole;
}

TEST(JsonReader, ReportsValuesInTheirOrder) {
  EXPECT_EQ(read(R"( {"a" : [1,-2.5e+3 ,true], "b":{"c":null},"d":"e"} )"),
            R"({"a"=[1 -2.5e+3 true ]"b"={"c"=null }"d"="e"})");
  EXPECT_EQ(read("7"), "7 ");
  EXPECT_EQ(read("\xEF\xBB\xBF[]"), "[]");
}

TEST(JsonReader, DecodesStrings) {
  EXPECT_EQ(
      read(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\uD83D\uDE00")"),
      "\"\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
}

// Each text, with each byte replaced by each of these, is accepted if nlohmann accepts it.
TEST(JsonReader, AcceptsWhatAnotherParserAccepts) {
  const std::string_view bytes("{}[]\":,\\ \n\x01u0e-.tfn1aD8\xC3\xA9\xED\xEF\0", 27);
  for (const std::string_view text :
       {R"({"a":[1,-0.5E-1,true],"b":"c"})", R"(["\uD83D\uDE00\n", "\u00e9"])",
        "[null,false,[ ],{ }]", "\xEF\xBB\xBF{\"\xC3\xA9\":1}", "-10.25e7", " \"a\" ",
        "[1,[2,[3]]]", "{}", "0"}) {
    EXPECT_TRUE(read(text)) << text;
    for (size_t at = 0; at < text.size(); ++at) {
      for (const char byte : bytes) {
        std::string changed(text);
        changed[at] = byte;
        EXPECT_EQ(read(changed).has_value(), nlohmann::json::accept(changed)) << changed;
        changed.insert(at, 1, text[at]);
        EXPECT_EQ(read(changed).has_value(), nlohmann::json::accept(changed)) << changed;
      }
      const std::string_view begin = text.substr(0, at);
      EXPECT_EQ(read(begin).has_value(), nlohmann::json::accept(begin)) << begin;
    }
  }
}

TEST(JsonReader, HandlerEndsTheReading) {
  class Refuser final : public JsonReader::Handler {
    bool on_string(std::string_view) override { return false; }
    bool on_scalar(std::string_view) override { return true; }
    bool on_name(std::string_view) override { return true; }
    bool on_open(char) override { return true; }
    bool on_close(char) override { return true; }
  };
  Refuser refuser;
  EXPECT_TRUE(JsonReader(refuser).read("[1,{\"a\":2}"));
  EXPECT_FALSE(JsonReader(refuser).read("[\"a\""));
}

}  // namespace
}  // namespace streamgate
