#include "master/service/generation.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

using namespace std::chrono_literals;
using Death = RespawnPolicy::Death;

// The places of a generation whose workers have all been started.
Generation with_places(size_t count) {
  Generation out;
  out.places.resize(count);
  for (Generation::Place& place : out.places) place.taken = true;
  return out;
}

// Lets the worker of `place` die young, at `now_ms`, and fills the place again.
void crash_and_refill(Generation& generation, unsigned place, int times, int64_t now_ms) {
  for (int i = 0; i < times; ++i) {
    generation.vacate(place, Death::crashed, 0ms, now_ms);
    generation.places[place].taken = true;
  }
}

TEST(Vacate, APlaceWaitsForItsOwnDelayWhileAnotherHasAWorker) {
  Generation generation = with_places(2);
  crash_and_refill(generation, 0, 7, 1'000);
  EXPECT_EQ(16s, generation.vacate(0, Death::crashed, 0ms, 1'000));
  EXPECT_EQ(17'000, generation.places[0].not_before_ms);
  EXPECT_FALSE(generation.places[0].taken);
}

TEST(Vacate, ThePlaceOfTheOnlyWorkerIsFilledWithinASecond) {
  Generation generation = with_places(1);
  for (int64_t now = 1'000; now < 20'000; now += 1'000) {
    EXPECT_LE(generation.vacate(0, Death::crashed, 0ms, now), 1s);
    generation.places[0].taken = true;
  }
  EXPECT_EQ(1s, generation.vacate(0, Death::could_not_start, 0ms, 20'000));
}

TEST(Vacate, AfterTheLastDeathOnePlaceIsFilledWithinASecond) {
  Generation generation = with_places(3);
  for (unsigned i = 0; i < 3; ++i) crash_and_refill(generation, i, 6 + static_cast<int>(i), 1'000);
  generation.vacate(0, Death::crashed, 0ms, 2'000);  // 8 s
  generation.vacate(1, Death::crashed, 0ms, 3'000);  // 16 s
  EXPECT_EQ(30s, generation.vacate(2, Death::crashed, 0ms, 4'000));
  EXPECT_EQ(5'000, generation.places[0].not_before_ms);  // the one that was next
  EXPECT_EQ(19'000, generation.places[1].not_before_ms);
  EXPECT_EQ(34'000, generation.places[2].not_before_ms);
}

}  // namespace
}  // namespace streamgate
