#include "worker/loop/event_memory.h"

#include <event2/event.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <memory>
#include <vector>

#include "common/unique_fd.h"
#include "worker/loop/event.h"

namespace streamgate {
namespace {

constexpr size_t kDescriptors = 200;

void ignore(evutil_socket_t, short, void*) {}

// Worker::make_base() sets the flag.
class EventMemoryTest : public testing::TestWithParam<int> {
 protected:
  EventMemoryTest() { use_dense_event_memory(); }

  static EventBase make_base() {
    const std::unique_ptr<event_config, Freer<event_config_free>> config(event_config_new());
    event_config_set_flag(config.get(), GetParam());
    return EventBase(event_base_new_with_config(config.get()));
  }
};

INSTANTIATE_TEST_SUITE_P(Flags, EventMemoryTest,
                         testing::Values(0, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST));

TEST_P(EventMemoryTest, HasAnObjectForEachDescriptorUntilTheBaseEnds) {
  const size_t before = dense_event_objects();
  EventBase base = make_base();
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

TEST_P(EventMemoryTest, ReusesObjects) {
  for (int round = 0; round < 3; ++round) {
    const EventBase base = make_base();
    const UniqueFd descriptor(::eventfd(1, EFD_CLOEXEC));
    const Event event(event_new(base.get(), descriptor.get(), EV_READ, ignore, nullptr));
    ASSERT_EQ(event_add(event.get(), nullptr), 0);
    EXPECT_EQ(event_base_loop(base.get(), EVLOOP_ONCE), 0);
  }
  EXPECT_EQ(dense_event_objects(), 0U);
}

}  // namespace
}  // namespace streamgate
