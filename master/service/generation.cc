#include "master/service/generation.h"

#include <sched.h>
#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "master/config/listen.h"
#include "master/config/tls_files.h"

namespace streamgate {
namespace {

unsigned usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&cores)));
}

bool fill_random(TicketKey& key) {
  return ::getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size());
}

}  // namespace

Result<Generation> Generation::prepare(uint64_t number, Config config, const Listeners& live) {
  auto out = outline(number, std::move(config));
  if (!out) return out;
  if (auto bound = out->bind(live); !bound) return bound.error();
  return out;
}

Result<Generation> Generation::outline(uint64_t number, Config config) {
  auto account = find_account(config.user);
  if (!account) return account.error();
  if (auto read = read_tls_files(config); !read) return read.error();
  Generation out;
  out.number = number;
  out.config = std::move(config);
  out.account = *account;
  if (!fill_random(out.ticket_key))
    return Error{Reason::internal, "cannot get random bytes from the kernel"};
  constexpr unsigned kMaxByDefault = 128;  // the maximum of `workers`
  const unsigned wanted = out.config.workers;
  out.places.resize(wanted > 0 ? wanted : std::min(usable_cores(), kMaxByDefault));
  return out;
}

Result<void> Generation::bind(const Listeners& live) {
  auto bound = bind_listeners(all_addresses(config), live);
  if (!bound) return bound.error();
  listeners = *std::move(bound);
  for (size_t i = 0; i < listeners.size(); ++i) {
    ListenSocket socket;
    socket.fd = listeners[i]->fd();
    socket.address = listeners[i]->bound();
    if (i < config.listen.size()) {
      socket.tls = config.listen[i].tls;
      socket.proxy_protocol = config.listen[i].proxy_protocol;
    } else {
      socket.role = ListenRole::admin;
    }
    sockets.push_back(std::move(socket));
  }
  return {};
}

Milliseconds Generation::vacate(unsigned place, RespawnPolicy::Death death, Milliseconds age,
                                int64_t now_ms) {
  Place& vacated = places[place];
  vacated.taken = false;
  vacated.not_before_ms = now_ms + vacated.policy.delay_after(death, age).count();
  if (std::none_of(places.begin(), places.end(), [](const Place& each) { return each.taken; })) {
    const auto next = std::min_element(
        places.begin(), places.end(),
        [](const Place& a, const Place& b) { return a.not_before_ms < b.not_before_ms; });
    next->not_before_ms = std::min(next->not_before_ms, now_ms + kMaxDelayWithoutWorkers.count());
  }
  return Milliseconds(vacated.not_before_ms - now_ms);
}

void Generation::close_in_child() {
  listeners.clear();
  for (const ListenConfig& entry : config.listen) {
    if (entry.tls) entry.tls->key_pem.wipe();
  }
}

std::string Generation::addresses_of(ListenRole role) const {
  std::string out;
  for (const ListenSocket& socket : sockets) {
    if (socket.role != role) continue;
    if (!out.empty()) out += ',';
    out += socket.address.to_string();
  }
  return out.empty() ? "off" : out;
}

void Generation::remove_files_not_in(const Listeners& other) const {
  for (const auto& listener : listeners) {
    if (std::find(other.begin(), other.end(), listener) == other.end()) listener->remove_file();
  }
}

}  // namespace streamgate
