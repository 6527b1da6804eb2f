// Marks that outlive a fetch: which origins cannot be reached, which of its URLs a link stays with,
// and which players an origin serves although it refuses browsers. Each worker reads the marks of
// all workers (Column). One per worker; it outlives the fetches.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/mark_table.h"
#include "common/scoreboard.h"
#include "common/url.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class OriginMarks {
 public:
  // `own` is this worker's column of the scoreboard.
  OriginMarks(const UpstreamConfig& config, const TimerWheel& wheel, Column& own,
              const ScoreboardView& scoreboard)
      : config_(config), wheel_(wheel), own_(own), scoreboard_(scoreboard) {}

  // The name of the origin (host and port) of `url` was not resolved, or no connection was
  // established. The origin counts as down for config.down_for.
  void set_down(const HttpUrl& url);
  void set_up(const HttpUrl& url);
  bool is_down(const HttpUrl& url) const;

  // The link stays with its URL of that index (0 to 3) for config.failover_stick.
  void keep(uint64_t link, unsigned index);
  std::optional<unsigned> kept(uint64_t link) const;

  // An origin and a User-Agent. The mark is for this pair, so that a client with another one cannot
  // change it.
  static uint64_t identity(const HttpUrl& url, std::string_view user_agent);
  // The origin has served that User-Agent lately after it had refused a browser's. Of the opposite
  // facts the newest counts.
  bool is_served(uint64_t identity) const;
  enum class Served : unsigned { browser, player };
  void set_served(uint64_t identity, Served who);

 private:
  void find_live() const;
  std::optional<MarkTable::Mark> newest(MarkTable Column::*table, uint64_t key) const;

  const UpstreamConfig& config_;
  const TimerWheel& wheel_;
  Column& own_;
  const ScoreboardView scoreboard_;
  // The columns that a worker has, as of live_since_ms_: few of hundreds.
  mutable std::vector<const Column*> live_;
  mutable int64_t live_since_ms_ = 0;
};

}  // namespace streamgate
