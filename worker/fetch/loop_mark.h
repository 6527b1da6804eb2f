// Ends loops of requests through this proxy. An upstream, or a redirect of one, may lead back to it
// under an address that TargetGuard does not know: that of a front, a NAT or a CDN. Each upstream
// request therefore carries CDN-Loop (RFC 8586) with the id of this service, and a request that
// already has it is refused.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "common/heritage.h"
#include "common/result.h"

namespace streamgate {

class LoopMark {
 public:
  // The maximum number of marks of Streamgates with any id. Bounds a loop through many services,
  // which would otherwise end only at the first one.
  static constexpr size_t kMaxMarks = 4;
  // A longer value is reduced to the marks of Streamgates, so that it does not grow from hop to
  // hop.
  static constexpr size_t kMaxForwardedBytes = 1024;

  // `id` is a token (RFC 9110 5.6.2).
  explicit LoopMark(std::string_view id);

  // The CDN-Loop of a request that came without one: `<id>;by=streamgate`.
  std::string_view own() const { return own_; }

  // The CDN-Loop of a request that came with `received`: `received`, then our mark. Of a malformed
  // or too long value only the marks of Streamgates are kept. Reason::loop if `received` has our
  // id, or more than kMaxMarks marks.
  Result<std::string> append_to(std::string_view received) const;

 private:
  std::string_view id() const { return own().substr(0, id_size_); }

  std::string own_;
  size_t id_size_;
};

// The id of a service that has none in its configuration: the same for every worker, and over
// reloads, upgrades and restarts with the same addresses. Shows neither the machine's id nor an
// address, because upstreams see it.
std::string derive_loop_id(std::string_view machine, std::span<const ListenSocket> listeners);

// For derive_loop_id(): the content of /etc/machine-id, else the host's name.
std::string machine_identity();

}  // namespace streamgate
