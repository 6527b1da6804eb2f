#include "worker/loop/request_note.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace streamgate {
namespace {

class RequestNoteTest : public testing::Test {
 protected:
  RequestNoteTest() { show_notes_in(memory); }
  ~RequestNoteTest() override {
    static ServedRequest nowhere;
    show_notes_in(nowhere);
  }

  std::string text() const { return {memory.text.data(), memory.size}; }
  std::string step() const { return memory.step.data(); }
  bool is_running() const { return memory.is_running != 0; }

  ServedRequest memory;
};

TEST_F(RequestNoteTest, TheTextStaysAfterTheScopeAndIsNoLongerRunning) {
  RequestNote note("192.0.2.1:4711", "id-1", "GET");
  note.set_target("http://a.example/x?token=*");
  EXPECT_EQ("", text());
  {
    const RequestScope scope(&note);
    EXPECT_EQ("192.0.2.1:4711 id=id-1 GET http://a.example/x?token=*", text());
    EXPECT_TRUE(is_running());
    EXPECT_EQ(&note, current_note());
  }
  EXPECT_EQ("192.0.2.1:4711 id=id-1 GET http://a.example/x?token=*", text());
  EXPECT_FALSE(is_running());
  EXPECT_EQ(nullptr, current_note());
}

TEST_F(RequestNoteTest, EachScopeShowsItsOwnRequest) {
  const RequestNote one("one");
  const RequestNote two("two");
  for (int i = 0; i < 2; ++i) {
    {
      const RequestScope scope(&one);
      EXPECT_EQ("one", text());
    }
    {
      const RequestScope scope(&two);
      EXPECT_EQ("two", text());
    }
  }
}

TEST_F(RequestNoteTest, TheScopeOfAGateRunsOnAfterItsRequest) {
  const RequestNote gate("192.0.2.1:4711");
  const RequestNote request("192.0.2.1:4711", {}, "GET");
  const RequestScope outer(&gate);
  { const RequestScope inner(&request); }
  EXPECT_EQ("192.0.2.1:4711 GET", text());
  EXPECT_TRUE(is_running());
  EXPECT_EQ(&gate, current_note());
}

TEST_F(RequestNoteTest, AScopeWithoutANoteChangesNothing) {
  {
    const RequestScope scope(nullptr);
    EXPECT_FALSE(is_running());
  }
  const RequestNote note("one");
  const RequestScope scope(&note);
  { const RequestScope none(nullptr); }
  { const RequestScope again(&note); }
  EXPECT_EQ("one", text());
  EXPECT_TRUE(is_running());
}

TEST_F(RequestNoteTest, ATargetAndAStepOfTheCurrentRequestShowAtOnce) {
  RequestNote note("c", {}, "GET");
  const RequestNote other("d");
  {
    const RequestScope scope(&note);
    note_step(step_text("connect"));
    EXPECT_EQ("connect", step());
    note.set_target("http://a.example/");
    EXPECT_EQ("c GET http://a.example/", text());
    EXPECT_EQ("connect", step());
  }
  note_step(step_text("read_body"));  // of no request
  {
    const RequestScope scope(&other);
    EXPECT_EQ("", step());
  }
  const RequestScope scope(&note);
  EXPECT_EQ("connect", step());
}

TEST_F(RequestNoteTest, ANewRequestAtTheSameAddressIsShown) {
  std::optional<RequestNote> note;
  note.emplace("old");
  { const RequestScope scope(&*note); }
  note.emplace("new");
  const RequestScope scope(&*note);
  EXPECT_EQ("new", text());
}

TEST_F(RequestNoteTest, LongTextsAreCutAndOnlyAWholeTargetIsReused) {
  const std::string long_text(500, 'c');
  RequestNote note(long_text, long_text, long_text);
  EXPECT_EQ("", note.whole_target());
  note.set_target(std::string(500, 'u'));
  EXPECT_EQ("", note.whole_target());
  const RequestScope scope(&note);
  EXPECT_EQ(kServedTextBytes, memory.size);
  EXPECT_EQ('u', text().back());
  note.set_target("http://a.example/");
  EXPECT_EQ("http://a.example/", note.whole_target());
}

TEST_F(RequestNoteTest, AStepKeepsItsFinalNul) {
  EXPECT_EQ('\0', step_text("a step with a very long name").back());
}

}  // namespace
}  // namespace streamgate
