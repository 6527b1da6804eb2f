#include "master/upgrade/handover.h"

#include <gtest/gtest.h>

#include <string>

#include "common/config.h"

namespace streamgate {
namespace {

Handover complete() {
  Handover out;
  out.service.pid = 812;
  out.service.program = "/usr/sbin/stream gate=%\n";
  out.service.version = "1.2.3";
  out.service.pid_file = "/run/p";
  out.service.notify_socket = "@abstract";
  out.service.watchdog_ms = 7500;
  out.service.started_ms = 1;
  out.service.reload_started_us = 2;
  out.service.reload_wanted = true;
  out.service.is_ready = true;
  out.service.last_generation = UINT64_MAX;
  out.service.lifeline_read = 4;
  out.service.lifeline_write = 5;
  out.reload = {3, 4, "the configuration is wrong: c.yaml:3: \"x\" = 1"};
  out.reopen = {1, 2, ""};
  out.listeners = {
      {7, "0.0.0.0:8080", 0, 0, false, {}},
      {8, "", 0, 0, true, {}},
      {9, "unix:/run/a b", 5, 6, false, ListenTls{"/c.pem", "/k.pem", "a\nchain", "a key"}}};
  out.boards = {{10, own_layout(16)}, {11, own_layout(8)}};
  WorkerProcess::Standing draining{WorkerProcess::Order::drain, 99, true};
  out.workers = {{900, 0, 2, 1, {}, 0, 0}, {901, 15, 1, 70, draining, 1, 7}};
  out.workers[1].cache_column = 1;
  out.cache = {{12, 13, 3}};
  out.cache_wakers = {{14}, {15}};
  out.generation = {2, 2};
  out.settings = settings_of(default_config());
  return out;
}

// As a text, because Handover has no operator==.
std::string through(const Handover& handover) {
  const auto parsed = parse_handover(print_handover(handover));
  return parsed ? print_handover(*parsed) : parsed.error().detail;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(std::string::npos, at) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string refusal_of(const Handover& handover) {
  const auto parsed = parse_handover(print_handover(handover));
  return parsed ? "none" : parsed.error().detail;
}

TEST(Handover, EveryValueIsReadBack) {
  const Handover before = complete();
  EXPECT_EQ(print_handover(before), through(before));
  const auto after = parse_handover(print_handover(before));
  ASSERT_TRUE(after) << after.error().detail;
  EXPECT_EQ("/usr/sbin/stream gate=%\n", after->service.program);
  EXPECT_EQ(7500, after->service.watchdog_ms);
  EXPECT_EQ(UINT64_MAX, after->service.last_generation);
  EXPECT_TRUE(after->service.reload_wanted);
  EXPECT_EQ(before.reload.problem, after->reload.problem);
  ASSERT_EQ(3U, after->listeners.size());
  EXPECT_TRUE(after->listeners[1].from_manager);
  EXPECT_EQ(6U, after->listeners[2].inode);
  EXPECT_FALSE(after->listeners[0].tls);
  EXPECT_EQ(before.listeners[2].tls, after->listeners[2].tls);
  EXPECT_EQ(own_layout(8), after->boards[1].layout);
  EXPECT_EQ(WorkerProcess::Order::drain, after->workers[1].standing.order);
  EXPECT_EQ(99, after->workers[1].standing.deadline_ms);
  EXPECT_EQ(std::nullopt, after->workers[0].standing.deadline_ms);
  EXPECT_EQ(7U, after->workers[1].board_slot);
  ASSERT_EQ(1U, after->cache.size());
  EXPECT_EQ(13, after->cache[0].bodies);
  EXPECT_EQ(3U, after->cache[0].layout);
  EXPECT_EQ(15, after->cache_wakers[1].fd);
  EXPECT_EQ(std::nullopt, after->workers[0].cache_column);
  EXPECT_EQ(1, after->workers[1].cache_column);
  EXPECT_EQ(before.settings, after->settings);
}

TEST(Handover, UnknownRecordsAreIgnoredAndAbsentValuesHaveDefaults) {
  const std::string text = print_handover(complete());
  const std::string more =
      replaced(text, "\nservice ", "\nplugin name=x\n\nservice colour=red nonsense ");
  const auto parsed = parse_handover(more);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(text, print_handover(*parsed));
  const auto less = parse_handover(replaced(text, " watchdog_ms=7500", ""));
  ASSERT_TRUE(less);
  EXPECT_EQ(std::nullopt, less->service.watchdog_ms);
}

TEST(Handover, RefusesAnUnknownVersion) {
  const std::string text = print_handover(complete());
  const auto newer = parse_handover(replaced(text, "streamgate-state 1", "streamgate-state 2"));
  ASSERT_FALSE(newer);
  EXPECT_EQ("the state has version 2, and this program knows 1", newer.error().detail);
  for (const std::string none : {"", "\n", "streamgate-state", "streamgate-state\n", "ELF 1\n"}) {
    EXPECT_FALSE(parse_handover(none)) << none;
  }
}

TEST(Handover, RefusesInvalidAndImpossibleNumbers) {
  const std::string text = print_handover(complete());
  for (const std::string number : {"", "x", "1x", "-1", "99999999999999999999", "1.5", "+1"}) {
    EXPECT_FALSE(parse_handover(
        replaced(text, " last_generation=18446744073709551615", " last_generation=" + number)))
        << number;
  }
  EXPECT_FALSE(parse_handover(replaced(text, "order=drain", "order=dance")));
  Handover wrong = complete();
  wrong.listeners[0].fd = -1;
  EXPECT_EQ("the state is wrong: listener fd", refusal_of(wrong));
  wrong = complete();
  wrong.workers[0].slot = 16;
  EXPECT_EQ("the state is wrong: worker slot", refusal_of(wrong));
  wrong = complete();
  wrong.workers[1].cache_column = 2;
  EXPECT_EQ("the state is wrong: worker cache_column", refusal_of(wrong));
  wrong = complete();
  wrong.workers[1].board_slot = 8;
  EXPECT_EQ("the state is wrong: worker board", refusal_of(wrong));
  wrong = complete();
  wrong.workers[1].board = 2;
  EXPECT_EQ("the state is wrong: worker board", refusal_of(wrong));
  wrong = complete();
  wrong.workers[0].place = 2;  // allowed only in an older generation
  EXPECT_EQ("the state is wrong: worker place", refusal_of(wrong));
  wrong = complete();
  wrong.workers[1].standing.order = WorkerProcess::Order::interrupt;
  wrong.workers[1].standing.deadline_ms.reset();
  EXPECT_EQ("the state is wrong: worker deadline", refusal_of(wrong));
  wrong = complete();
  wrong.boards.clear();
  EXPECT_EQ("the state is wrong: there is no board", refusal_of(wrong));
  wrong = complete();
  ScoreboardLayout& layout = wrong.boards[0].layout;
  layout.size = layout.first_slot + layout.slots * layout.slot_size - 1;
  EXPECT_EQ("the layout of the scoreboard is impossible: its size", refusal_of(wrong));
}

TEST(Handover, RefusesATruncatedText) {
  const std::string text = print_handover(complete());
  // Each line is cut before its last byte, before its end and behind it.
  for (size_t end = text.find('\n'); end + 1 < text.size(); end = text.find('\n', end + 1)) {
    for (const size_t size : {end - 1, end, end + 1}) {
      EXPECT_FALSE(parse_handover(text.substr(0, size))) << size;
    }
  }
  EXPECT_FALSE(parse_handover(text.substr(0, text.size() - 2)));
}

}  // namespace
}  // namespace streamgate
