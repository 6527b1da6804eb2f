// The delay before the place of a dead worker is filled again. Pure: no clock, no process.
#pragma once

#include <algorithm>
#include <chrono>

namespace streamgate {

// When no worker is left, nobody serves, so the next attempt follows within this time.
constexpr std::chrono::milliseconds kMaxDelayWithoutWorkers{1'000};

class RespawnPolicy {
 public:
  enum class Death { crashed, could_not_start };

  // A few crashes are accidents (a bad stream, an operator's kill): the place is filled at once.
  // When a place keeps losing workers younger than 10 s, it waits 1, 2, 4 ... 30 s while other
  // places have workers. It waits from the first time if a worker could not start, because another
  // try at once would fail as well.
  std::chrono::milliseconds delay_after(Death death, std::chrono::milliseconds age) {
    using namespace std::chrono_literals;
    constexpr auto kYoung = 10s;           // below this age a death counts
    constexpr unsigned kMaxAccidents = 3;  // in a row
    constexpr unsigned kMaxDoublings = 5;
    if (age >= kYoung) young_deaths_ = 0;
    ++young_deaths_;
    if (death == Death::could_not_start) {
      young_deaths_ = std::max(young_deaths_, kMaxAccidents + 1);
    }
    if (young_deaths_ <= kMaxAccidents) return 0ms;
    const unsigned doublings = std::min(young_deaths_ - kMaxAccidents - 1, kMaxDoublings);
    return std::min<std::chrono::milliseconds>(1s * (1U << doublings), 30s);
  }

 private:
  unsigned young_deaths_ = 0;  // in a row
};

}  // namespace streamgate
