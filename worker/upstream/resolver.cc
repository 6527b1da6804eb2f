#include "worker/upstream/resolver.h"

#include <algorithm>
#include <list>
#include <map>
#include <utility>

#include "common/check.h"
#include "worker/loop/event.h"
#include "worker/upstream/dns_servers.h"
#include "worker/upstream/hosts_file.h"
#include "worker/upstream/name_cache.h"

namespace streamgate {
namespace {

// IPv6 addresses of one client share a /64.
IpAddress bound_key(IpAddress client) {
  if (!client.is_v4) std::fill(client.bytes.begin() + 8, client.bytes.end(), uint8_t{0});
  return client;
}

// Questions that advance in one iteration of the loop; each may send two packets.
constexpr unsigned kMaxAdvances = 64;

}  // namespace

class Resolver::Lookup {
 public:
  using List = std::list<Lookup*>;

  Lookup(Observer& who, List& where) : observer(who) { wait_in(where); }
  ~Lookup() { leave(); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  void wait_in(List& where) {
    list_ = &where;
    place_ = where.insert(where.end(), this);
  }
  void leave() {
    if (list_ != nullptr) list_->erase(place_);
    list_ = nullptr;
  }

  Observer& observer;
  std::optional<Error> refusal;  // known at once, reported from the event loop

 private:
  List* list_;  // nullptr after the call to the observer
  List::iterator place_;
};

void Resolver::CancelLookup::operator()(Lookup* lookup) const noexcept { delete lookup; }

struct Resolver::State final : private DnsQuestion::Owner {
  // A question under way and the lookups that wait for it.
  struct Asked final : DnsQuestion {
    using DnsQuestion::DnsQuestion;

    Lookup::List waiters;
    std::optional<IpAddress> client;
    std::list<std::unique_ptr<Asked>>::iterator age;
    bool is_woken = false;
  };

  State(event_base* event_loop, TimerWheel& timer_wheel, Milliseconds timeout, const Files& files)
      : wheel(timer_wheel),
        hosts(files.hosts),
        servers(event_loop, timer_wheel, files.resolv_conf, timeout),
        environment{event_loop, timer_wheel, servers, timeout, *this},
        wake_event(event_new(event_loop, -1, 0, callback<&State::on_wake>, this)) {
    CHECK(wake_event);
  }
  ~State() {  // before the servers: questions ignore the ends of their queries
    asked.clear();
    given_up.clear();
  }

  const ResolvedName* find_in_hosts(std::string_view host);
  const ResolvedName* ask(std::string_view host, Observer& observer, LookupHandle& lookup);
  bool refresh(std::string_view host);
  void refuse(Error error, Observer& observer, LookupHandle& lookup);
  Asked& begin(std::string_view host, const std::optional<IpAddress>& client);
  bool has_too_many(const IpAddress& client) const;
  void make_room();
  std::unique_ptr<Asked> take(Asked& entry);
  void release(Asked& entry);
  void wake(DnsQuestion& question) override;
  void on_wake();
  bool knows_addresses(const std::string& name);
  void advance(Asked& entry);
  static void deliver(Lookup::List& waiters, const ResolvedName& name);
  static void deliver(Lookup::List& waiters, const Error& error);
  void deliver_refusals();

  TimerWheel& wheel;
  HostsFile hosts;
  NameCache cache;
  ResolvedName scratch;  // the result of resolve() if nothing else holds it
  DnsServers servers;
  DnsQuestion::Environment environment;
  std::list<std::unique_ptr<Asked>> asked;     // the oldest first
  std::list<std::unique_ptr<Asked>> given_up;  // still to be reported
  NameMap<Asked*> asked_by_name;
  std::map<IpAddress, unsigned> asked_by_client;
  std::list<Asked*> woken;
  Lookup::List refused;
  Event wake_event;
};

// --- asking ---

const ResolvedName* Resolver::State::find_in_hosts(std::string_view host) {
  const auto* listed = hosts.find(host, wheel.now_ms());
  if (listed == nullptr) return nullptr;
  scratch.addresses = alternate_families(*listed);
  return &scratch;
}

const ResolvedName* Resolver::State::ask(std::string_view host, Observer& observer,
                                         LookupHandle& lookup) {
  const auto found = asked_by_name.find(host);
  if (found != asked_by_name.end()) {
    Asked& entry = *found->second;
    if (!entry.result().addresses.empty()) return &entry.result();
    lookup.reset(new Lookup(observer, entry.waiters));
    return nullptr;
  }
  auto client = observer.client();
  if (client) client = bound_key(*client);
  if (client && has_too_many(*client)) {
    refuse({Reason::overloaded, "too many names are being resolved for this client"}, observer,
           lookup);
    return nullptr;
  }
  make_room();
  lookup.reset(new Lookup(observer, begin(host, client).waiters));
  return nullptr;
}

// Nobody waits for the answer, so it takes no other question's place. All refreshes count as those
// of one client: somebody may have a thousand names whose server has gone silent.
bool Resolver::State::refresh(std::string_view host) {
  const IpAddress nobody;
  if (asked.size() >= kMaxQuestions || has_too_many(nobody)) return false;
  if (!asked_by_name.contains(host)) begin(host, nobody);
  return true;
}

bool Resolver::State::has_too_many(const IpAddress& client) const {
  const auto count = asked_by_client.find(client);
  return count != asked_by_client.end() && count->second >= kMaxQuestionsPerClient;
}

void Resolver::State::refuse(Error error, Observer& observer, LookupHandle& lookup) {
  lookup.reset(new Lookup(observer, refused));
  lookup->refusal = std::move(error);
  event_active(wake_event.get(), EV_TIMEOUT, 1);
}

Resolver::State::Asked& Resolver::State::begin(std::string_view host,
                                               const std::optional<IpAddress>& client) {
  Asked& entry = *asked.emplace_back(std::make_unique<Asked>(environment, std::string(host)));
  entry.age = std::prev(asked.end());
  entry.client = client;
  asked_by_name.emplace(host, &entry);
  if (client) ++asked_by_client[*client];
  wake(entry);
  return entry;
}

// The oldest question most likely waits for a silent server: others are answered much sooner.
void Resolver::State::make_room() {
  if (asked.size() < kMaxQuestions) return;
  Asked& oldest = *asked.front();
  given_up.splice(given_up.end(), asked, asked.begin());
  oldest.give_up({Reason::overloaded, "too many names are being resolved"});
}

std::unique_ptr<Resolver::State::Asked> Resolver::State::take(Asked& entry) {
  std::unique_ptr<Asked> taken = std::move(*entry.age);
  (entry.is_given_up() ? given_up : asked).erase(entry.age);
  asked_by_name.erase(entry.name());
  if (entry.is_woken) woken.remove(&entry);
  release(entry);
  return taken;
}

void Resolver::State::release(Asked& entry) {
  if (!entry.client) return;
  const auto count = asked_by_client.find(*entry.client);
  if (--count->second == 0) asked_by_client.erase(count);
  entry.client.reset();
}

// --- answering ---

void Resolver::State::wake(DnsQuestion& question) {
  auto& entry = static_cast<Asked&>(question);
  if (!entry.is_woken) woken.push_back(&entry);
  entry.is_woken = true;
  event_active(wake_event.get(), EV_TIMEOUT, 1);
}

void Resolver::State::on_wake() {
  servers.refresh();
  for (unsigned left = kMaxAdvances; left > 0 && !woken.empty(); --left) {
    Asked& entry = *woken.front();
    woken.pop_front();
    entry.is_woken = false;
    advance(entry);
  }
  if (!woken.empty()) {
    // Not event_active(): sockets must come first, so that answers are read between the batches.
    const timeval now{};
    event_add(wake_event.get(), &now);
  }
  deliver_refusals();
}

bool Resolver::State::knows_addresses(const std::string& name) {
  const NameCache::Kept* const kept = cache.find(name, wheel.now_ms());
  return kept != nullptr && !kept->failure;
}

// An observer may cancel any lookup, including its own, and begin a new one.
void Resolver::State::advance(Asked& entry) {
  switch (entry.advance()) {
    case DnsQuestion::Progress::asking:
      return;
    case DnsQuestion::Progress::has_addresses:
      release(entry);  // a family that never answers is common, and costs the client nothing
      // When the name is refreshed: the addresses of both families are known until their TTL ends.
      if (knows_addresses(entry.name())) return;
      cache.keep(entry.name(), entry.result(), entry.ttl_ms(), wheel.now_ms());
      return deliver(entry.waiters, entry.result());
    case DnsQuestion::Progress::answered: {
      const auto ended = take(entry);
      cache.keep(ended->name(), ended->result(), ended->ttl_ms(), wheel.now_ms());
      return deliver(ended->waiters, ended->result());
    }
    case DnsQuestion::Progress::failed: {
      const auto ended = take(entry);
      if (ended->is_negative()) cache.keep_failure(ended->name(), ended->error(), wheel.now_ms());
      return deliver(ended->waiters, ended->error());
    }
  }
}

void Resolver::State::deliver(Lookup::List& waiters, const ResolvedName& name) {
  while (!waiters.empty()) {
    Lookup& lookup = *waiters.front();
    lookup.leave();
    lookup.observer.on_resolved(name);
  }
}

void Resolver::State::deliver(Lookup::List& waiters, const Error& error) {
  while (!waiters.empty()) {
    Lookup& lookup = *waiters.front();
    lookup.leave();
    lookup.observer.on_resolve_failed(error);
  }
}

// Only lookups that waited before: a new one is answered in the next iteration of the loop.
void Resolver::State::deliver_refusals() {
  Lookup::List batch;
  for (size_t left = refused.size(); left > 0; --left) {
    Lookup& lookup = *refused.front();
    lookup.leave();
    lookup.wait_in(batch);
  }
  while (!batch.empty()) {
    Lookup& lookup = *batch.front();
    lookup.leave();
    lookup.observer.on_resolve_failed(*std::exchange(lookup.refusal, std::nullopt));
  }
}

Resolver::Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config)
    : Resolver(base, wheel, config, Files{}) {}

Resolver::Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config,
                   const Files& files)
    : state_(std::make_unique<State>(base, wheel, config.dns_timeout, files)) {}

Resolver::~Resolver() = default;

const ResolvedName* Resolver::resolve(std::string_view host, Observer& observer,
                                      LookupHandle& lookup) {
  State& state = *state_;
  if (const auto literal = IpAddress::parse(host)) {
    state.scratch.addresses.assign(1, *literal);
    return &state.scratch;
  }
  if (const auto* listed = state.find_in_hosts(host)) return listed;
  const int64_t now = state.wheel.now_ms();
  if (NameCache::Kept* const kept = state.cache.find(host, now)) {
    if (now >= kept->refresh_ms && state.refresh(host)) kept->refresh_ms = INT64_MAX;  // once
    if (!kept->failure) return &kept->name;
    state.refuse(*kept->failure, observer, lookup);
    return nullptr;
  }
  return state.ask(host, observer, lookup);
}

}  // namespace streamgate
