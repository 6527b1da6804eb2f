#include "worker/exchange/failing_hosts.h"

#include <algorithm>
#include <string>

namespace streamgate {

void FailingHosts::count_failure(std::string_view host, std::string_view last) {
  HostFailures& entry = entry_of(host);
  ++entry.failed;
  show(entry, last);
}

void FailingHosts::count_status(std::string_view host, int status) {
  HostFailures& entry = entry_of(host);
  ++entry.statuses;
  show(entry, std::to_string(status));
}

// Its entry, a free one, or that of the host with fewest failures.
HostFailures& FailingHosts::entry_of(std::string_view host) {
  const FixedText<96> name(host);
  const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const HostFailures& each) {
    return each.host.bytes == name.bytes;
  });
  if (known != entries_.end()) return *known;
  const auto fewest = std::min_element(
      entries_.begin(), entries_.end(),
      [](const HostFailures& a, const HostFailures& b) { return a.all() < b.all(); });
  *fewest = {};
  fewest->host = name;
  return *fewest;
}

void FailingHosts::show(HostFailures& entry, std::string_view last) {
  entry.last = FixedText<24>(last);
  entry.last_ms = wheel_.now_ms();
  table_.rows[static_cast<size_t>(&entry - entries_.data())].put(entry);
}

}  // namespace streamgate
