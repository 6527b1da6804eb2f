#include "worker/exchange/failing_hosts.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace streamgate {
namespace {

class FailingHostsTest : public testing::Test {
 protected:
  // The entry of the host in the table; none if it has none.
  std::optional<HostFailures> entry_of(const std::string& host) const {
    for (const auto& row : table_->rows) {
      const auto entry = row.get();
      if (entry && entry->host.view() == host) return entry;
    }
    return std::nullopt;
  }

  EventBase base_{event_base_new()};
  TimerWheel wheel_{base_.get()};
  std::unique_ptr<HostFailureTable> table_ = std::make_unique<HostFailureTable>();
  FailingHosts hosts_{*table_, wheel_};
};

TEST_F(FailingHostsTest, CountsFailuresAndStatusesOfEachHost) {
  hosts_.count_failure("a.example:80", "connect_failed");
  hosts_.count_failure("a.example:80", "dns_failed");
  hosts_.count_status("a.example:80", 503);
  hosts_.count_status("b.example:80", 404);
  const auto entry = entry_of("a.example:80");
  ASSERT_TRUE(entry);
  EXPECT_EQ(2U, entry->failed);
  EXPECT_EQ(1U, entry->statuses);
  EXPECT_EQ("503", entry->last.view());
  EXPECT_GT(entry->last_ms, 0);
  EXPECT_EQ("404", entry_of("b.example:80")->last.view());
}

TEST_F(FailingHostsTest, ANewHostTakesThePlaceOfTheOneWithFewestFailures) {
  for (size_t i = 0; i < HostFailureTable::kRows; ++i) {
    const std::string host = "host" + std::to_string(i);
    hosts_.count_failure(host, "dns_failed");
    if (i != 7) hosts_.count_failure(host, "dns_failed");
  }
  hosts_.count_failure("new", "dns_failed");
  EXPECT_FALSE(entry_of("host7"));
  EXPECT_EQ(1U, entry_of("new")->failed);
  EXPECT_EQ(2U, entry_of("host0")->failed);
}

TEST_F(FailingHostsTest, ALongNameIsCut) {
  const std::string name(300, 'x');
  hosts_.count_failure(name, "dns_failed");
  hosts_.count_failure(name, "dns_failed");
  EXPECT_EQ(2U, entry_of(name.substr(0, 96))->failed);
}

}  // namespace
}  // namespace streamgate
