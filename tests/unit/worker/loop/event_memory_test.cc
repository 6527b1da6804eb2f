#include "worker/loop/event_memory.h"

#include <event2/event.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <vector>

#include "common/unique_fd.h"
#include "worker/loop/event.h"

namespace streamgate {
namespace {

constexpr size_t kDescriptors = 200;

void ignore(evutil_socket_t, short, void*) {}

TEST(EventMemoryTest, HasAnObjectForEachDescriptorUntilTheBaseEnds) {
  use_dense_event_memory();
  const size_t before = dense_event_objects();
  EventBase base(event_base_new());
  const size_t of_base = dense_event_objects();
  std::vector<UniqueFd> descriptors;
  for (size_t i = 0; i < kDescriptors; ++i) {
    descriptors.emplace_back(::eventfd(0, EFD_CLOEXEC));
    const Event event(event_new(base.get(), descriptors.back().get(), EV_READ, ignore, nullptr));
    ASSERT_EQ(event_add(event.get(), nullptr), 0);
  }
  EXPECT_GE(dense_event_objects(), of_base + kDescriptors);
  descriptors.clear();
  base.reset();
  EXPECT_EQ(dense_event_objects(), before);
}

TEST(EventMemoryTest, ReusesObjects) {
  use_dense_event_memory();
  for (int round = 0; round < 3; ++round) {
    const EventBase base(event_base_new());
    const UniqueFd descriptor(::eventfd(1, EFD_CLOEXEC));
    const Event event(event_new(base.get(), descriptor.get(), EV_READ, ignore, nullptr));
    ASSERT_EQ(event_add(event.get(), nullptr), 0);
    EXPECT_EQ(event_base_loop(base.get(), EVLOOP_ONCE), 0);
  }
  EXPECT_EQ(dense_event_objects(), 0U);
}

}  // namespace
}  // namespace streamgate
