#include "master/generation.h"

#include <sched.h>

#include <algorithm>
#include <utility>

namespace streamgate {
namespace {

unsigned usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&cores)));
}

}  // namespace

Result<Generation> Generation::prepare(uint64_t number, Config config, const Listeners& live) {
  auto account = find_account(config.user);
  if (!account) return account.error();
  auto listeners = bind_listeners(config.listen, live);
  if (!listeners) return listeners.error();
  Generation out;
  out.number = number;
  out.config = std::move(config);
  out.account = *account;
  out.listeners = *std::move(listeners);
  for (const auto& listener : out.listeners) {
    out.sockets.push_back({listener->fd(), listener->bound()});
  }
  constexpr unsigned kMostByDefault = 128;  // what `workers` itself may be at most
  const unsigned wanted = out.config.workers;
  out.places.resize(wanted > 0 ? wanted : std::min(usable_cores(), kMostByDefault));
  return out;
}

std::string Generation::addresses() const {
  std::string out;
  for (const ListenSocket& socket : sockets) {
    if (!out.empty()) out += ',';
    out += socket.address.to_string();
  }
  return out;
}

void Generation::remove_files_not_in(const Listeners& other) const {
  for (const auto& listener : listeners) {
    if (std::find(other.begin(), other.end(), listener) == other.end()) listener->remove_file();
  }
}

}  // namespace streamgate
