// When the place of a dead worker may be filled again. Pure: no clock, no process.
#pragma once

#include <algorithm>
#include <chrono>

namespace streamgate {

class RespawnPolicy {
 public:
  enum class Death { crashed, could_not_start };

  // A few crashes are accidents (a bad stream, an operator's kill): the place is filled at once.
  // One that keeps dying young waits 1, 2, 4 ... 30 s; a worker that could not even start would not
  // do better a moment later.
  std::chrono::milliseconds delay_after(Death death, std::chrono::milliseconds age) {
    using namespace std::chrono_literals;
    constexpr auto kOldEnough = 10s;        // to count as having worked
    constexpr unsigned kMostAccidents = 3;  // in a row
    constexpr unsigned kMostDoublings = 5;
    if (age >= kOldEnough) young_deaths_ = 0;
    ++young_deaths_;
    if (death == Death::could_not_start) {
      young_deaths_ = std::max(young_deaths_, kMostAccidents + 1);
    }
    if (young_deaths_ <= kMostAccidents) return 0ms;
    const unsigned doublings = std::min(young_deaths_ - kMostAccidents - 1, kMostDoublings);
    return std::min<std::chrono::milliseconds>(1s * (1U << doublings), 30s);
  }

 private:
  unsigned young_deaths_ = 0;  // in a row
};

}  // namespace streamgate
