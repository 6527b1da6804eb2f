#include "common/clock.h"

#include <ctime>

namespace streamgate {
namespace {

timespec now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time;
}

}  // namespace

int64_t monotonic_ms() {
  const timespec time = now();
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

int64_t monotonic_us() {
  const timespec time = now();
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

}  // namespace streamgate
