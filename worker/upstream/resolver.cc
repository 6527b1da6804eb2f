#include "worker/upstream/resolver.h"

#include <event2/dns.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <optional>
#include <utility>

#include "common/check.h"
#include "worker/loop/event.h"
#include "worker/upstream/hosts_file.h"

namespace streamgate {
namespace {

// 1: libevent still calls back for every question, and the callback frees it.
void free_dns_base(evdns_base* base) { evdns_base_free(base, 1); }
using DnsBase = std::unique_ptr<evdns_base, Freer<free_dns_base>>;

constexpr size_t kMaxNames = 1024;
constexpr Milliseconds kResolutionDelay{50};  // RFC 8305 3
constexpr int64_t kMinTtlMs = 1'000;
constexpr int64_t kMaxTtlMs = 300'000;
constexpr int64_t kNegativeTtlMs = 5'000;

enum class Family { v6, v4 };

timeval timeval_of(Milliseconds time) {
  return {time.count() / 1000, static_cast<suseconds_t>(time.count() % 1000) * 1000};
}

std::string seconds_of(Milliseconds time) {
  const auto fraction = std::to_string(1000 + time.count() % 1000).substr(1);
  return std::to_string(time.count() / 1000) + "." + fraction;
}

// Alternates the families, IPv6 first (RFC 8305 4).
std::vector<IpAddress> interleave(const std::vector<IpAddress>& v6,
                                  const std::vector<IpAddress>& v4) {
  std::vector<IpAddress> out;
  out.reserve(v6.size() + v4.size());
  for (size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
    if (i < v6.size()) out.push_back(v6[i]);
    if (i < v4.size()) out.push_back(v4[i]);
  }
  return out;
}

std::vector<IpAddress> alternate(const std::vector<IpAddress>& mixed) {
  std::vector<IpAddress> v6;
  std::vector<IpAddress> v4;
  for (const IpAddress& address : mixed) (address.is_v4 ? v4 : v6).push_back(address);
  return interleave(v6, v4);
}

std::vector<IpAddress> addresses_of(char type, int count, const void* bytes) {
  std::vector<IpAddress> out;
  const size_t size = type == DNS_IPv4_A ? 4 : 16;
  for (int i = 0; i < count; ++i) {
    IpAddress address;
    address.is_v4 = type == DNS_IPv4_A;
    std::memcpy(address.bytes.data(),
                static_cast<const uint8_t*>(bytes) + static_cast<size_t>(i) * size, size);
    out.push_back(address);
  }
  return out;
}

class Entry;

// One question to the name servers. libevent calls back exactly once, from the event loop, even
// after a cancellation or the end of its base. The question therefore belongs to that callback: the
// entry may be gone by then.
struct Question {
  Entry* entry;  // nullptr: the answer is ignored
  Family family;
};

// The answer for one family.
struct Answer {
  Question* question = nullptr;  // not answered yet
  int result = DNS_ERR_NONE;
  std::vector<IpAddress> addresses;
};

}  // namespace

class Resolver::Lookup {
 public:
  Lookup(Observer& who, std::vector<Lookup*>& where) : observer(who), waiters(&where) {
    where.push_back(this);
  }
  ~Lookup() {
    if (waiters != nullptr) std::erase(*waiters, this);
  }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  Observer& observer;
  std::vector<Lookup*>* waiters;  // of the entry; nullptr after the call to the observer
};

void Resolver::CancelLookup::operator()(Lookup* lookup) const noexcept { delete lookup; }

namespace {

// A name that is being resolved, has addresses until it expires, or has failed until it expires.
class Entry {
 public:
  enum class Step { asking, known, failed };

  Entry(event_base* base, TimerWheel& wheel, std::string name)
      : name_(std::move(name)),
        wheel_(wheel),
        deadline_(wheel, this, call<&Entry::on_deadline>),
        timer_(evtimer_new(base, callback<&Entry::on_timer>, this)) {
    CHECK(timer_);
  }
  ~Entry() { forget_questions(); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  void ask(evdns_base* dns, Milliseconds timeout);
  void fail(Error error, int64_t keep_ms);
  void deliver_soon(Milliseconds delay) {
    const timeval wait = timeval_of(delay);
    CHECK(event_add(timer_.get(), &wait) == 0);
  }

  const std::string& name() const { return name_; }
  Step step() const { return step_; }
  bool is_expired() const {
    return step_ != Step::asking && wheel_.now_ms() >= expires_ms_ && !delivering_;
  }
  // No lookup, question or delivery refers to the entry.
  bool is_free() const {
    return step_ != Step::asking && waiters_.empty() && !delivering_ && !is_being_asked();
  }
  const std::vector<IpAddress>& addresses() const { return addresses_; }
  std::vector<Resolver::Lookup*>& waiters() { return waiters_; }

  std::list<Entry*>::iterator age;  // its place in State::by_age

 private:
  static void on_answer(int result, char type, int count, int ttl, void* addresses, void* question);
  void on_deadline();
  void on_timer();
  void take_answer(Family family, int result, std::vector<IpAddress> addresses, int ttl);
  Answer& answer_of(Family family) { return answers_[family == Family::v6 ? 0 : 1]; }
  bool is_being_asked() const { return answers_[0].question || answers_[1].question; }
  void store_addresses();
  void fail_by_answers();
  void deliver();
  void forget_questions();

  const std::string name_;
  TimerWheel& wheel_;
  Step step_ = Step::failed;
  std::array<Answer, 2> answers_;
  std::vector<IpAddress> addresses_;
  std::optional<Error> error_;
  std::vector<Resolver::Lookup*> waiters_;
  int64_t ttl_ms_ = 0;
  int64_t expires_ms_ = 0;
  bool delivering_ = false;
  Deadline deadline_;
  Event timer_;
};

void Entry::ask(evdns_base* dns, Milliseconds timeout) {
  forget_questions();
  step_ = Step::asking;
  ttl_ms_ = kMaxTtlMs;
  error_.reset();
  for (const Family family : {Family::v6, Family::v4}) {
    auto question = std::make_unique<Question>(Question{this, family});
    const auto resolve = family == Family::v6 ? evdns_base_resolve_ipv6 : evdns_base_resolve_ipv4;
    Answer& answer = answer_of(family);
    answer = {};
    if (resolve(dns, name_.c_str(), DNS_QUERY_NO_SEARCH, &Entry::on_answer, question.get())) {
      answer.question = question.release();  // on_answer frees it
    } else {
      answer.result = DNS_ERR_FORMAT;
    }
  }
  deadline_.arm(std::max(timeout, Milliseconds{1}));
  if (!is_being_asked()) {
    fail({Reason::dns_failed, name_ + ": is not a DNS name"}, 0);
    deliver_soon(Milliseconds{0});
  }
}

void Entry::on_answer(int result, char type, int count, int ttl, void* addresses, void* arg) {
  const std::unique_ptr<Question> question(static_cast<Question*>(arg));
  if (question->entry == nullptr) return;
  std::vector<IpAddress> found;
  if (result == DNS_ERR_NONE) found = addresses_of(type, count, addresses);
  question->entry->take_answer(question->family, result, std::move(found), ttl);
}

void Entry::take_answer(Family family, int result, std::vector<IpAddress> found, int ttl) {
  Answer& answer = answer_of(family);
  answer.question = nullptr;
  answer.result = result;
  answer.addresses = std::move(found);
  if (!answer.addresses.empty()) ttl_ms_ = std::min(ttl_ms_, int64_t{ttl} * 1000);
  const bool any = !answers_[0].addresses.empty() || !answers_[1].addresses.empty();
  if (is_being_asked()) {
    if (any) deliver_soon(kResolutionDelay);
    return;
  }
  event_del(timer_.get());
  deadline_.cancel();
  if (any) {
    store_addresses();
  } else if (step_ == Step::asking) {
    fail_by_answers();
  }
  deliver();
}

void Entry::store_addresses() {
  step_ = Step::known;
  addresses_ = interleave(answers_[0].addresses, answers_[1].addresses);
  expires_ms_ = wheel_.now_ms() + std::clamp(ttl_ms_, kMinTtlMs, kMaxTtlMs);
}

void Entry::fail(Error error, int64_t keep_ms) {
  step_ = Step::failed;
  deadline_.cancel();
  error_ = std::move(error);
  expires_ms_ = wheel_.now_ms() + keep_ms;
}

void Entry::fail_by_answers() {
  const auto either = [this](int result) {
    return answers_[0].result == result || answers_[1].result == result;
  };
  const auto is_empty = [](const Answer& answer) {
    return answer.result == DNS_ERR_NODATA || answer.result == DNS_ERR_NONE;
  };
  if (either(DNS_ERR_NOTEXIST)) {
    return fail({Reason::dns_failed, name_ + ": no such name"}, kNegativeTtlMs);
  }
  if (is_empty(answers_[0]) && is_empty(answers_[1])) {
    return fail({Reason::dns_failed, name_ + ": has no address"}, kNegativeTtlMs);
  }
  if (either(DNS_ERR_TIMEOUT)) return fail({Reason::dns_timeout, name_ + ": no answer"}, 0);
  const int result = is_empty(answers_[0]) ? answers_[1].result : answers_[0].result;
  fail({Reason::dns_failed, name_ + ": " + evdns_err_to_string(result)}, 0);
}

// The resolution delay is over without an answer of the other family, or a failure is to be
// reported.
void Entry::on_timer() {
  if (step_ == Step::asking) store_addresses();
  deadline_.cancel();
  deliver();
}

void Entry::on_deadline() {
  if (step_ != Step::asking) return;
  forget_questions();
  event_del(timer_.get());
  fail({Reason::dns_timeout, name_ + ": no answer"}, 0);
  deliver();
}

// An observer may cancel any lookup, also its own, and begin a new one.
void Entry::deliver() {
  delivering_ = true;
  while (!waiters_.empty()) {
    Resolver::Lookup& lookup = *waiters_.front();
    waiters_.erase(waiters_.begin());
    lookup.waiters = nullptr;
    if (step_ == Step::known) {
      lookup.observer.on_resolved(addresses_);
    } else {
      lookup.observer.on_resolve_failed(*error_);
    }
  }
  delivering_ = false;
}

void Entry::forget_questions() {
  for (Answer& answer : answers_) {
    if (answer.question != nullptr) answer.question->entry = nullptr;
    answer.question = nullptr;
  }
}

DnsBase make_dns_base(event_base* base, Milliseconds timeout, const std::string& resolv_conf) {
  DnsBase dns(evdns_base_new(base, 0));
  CHECK(dns);
  // Each family is asked at least five times within the timeout, so that one dead name server of
  // several costs a fifth of it at most (1 s by default). An answer to an earlier question counts,
  // so a slow server has the whole time. max-inflight is above its default of 64: names that no
  // server answers must not delay others.
  const auto each = std::clamp(timeout / 5, Milliseconds{50}, Milliseconds{2000});
  const auto attempts = std::clamp<int64_t>((timeout + each - Milliseconds{1}) / each, 5, 255);
  evdns_base_set_option(dns.get(), "timeout", seconds_of(each).c_str());
  evdns_base_set_option(dns.get(), "attempts", std::to_string(attempts).c_str());
  evdns_base_set_option(dns.get(), "max-inflight", "1024");
  evdns_base_set_option(dns.get(), "initial-probe-timeout", "1");
  // On failure 127.0.0.1 is the name server. Search lists and options are not read: names are
  // absolute, and the options above must stand.
  evdns_base_resolv_conf_parse(dns.get(), DNS_OPTION_NAMESERVERS, resolv_conf.c_str());
  evdns_base_search_clear(dns.get());
  return dns;
}

}  // namespace

struct Resolver::State {
  State(event_base* event_loop, TimerWheel& timer_wheel, Milliseconds timeout, const Files& files)
      : base(event_loop),
        wheel(timer_wheel),
        dns_timeout(timeout),
        hosts(files.hosts),
        dns(make_dns_base(event_loop, timeout, files.resolv_conf)),
        overflow(event_loop, timer_wheel, std::string()) {}

  Entry* find_or_make(std::string_view host);
  bool make_room();

  event_base* base;
  TimerWheel& wheel;
  Milliseconds dns_timeout;
  HostsFile hosts;
  std::vector<IpAddress> scratch;  // addresses that resolve() returns and no entry holds
  DnsBase dns;
  std::list<Entry*> by_age;                 // most recently used first
  NameMap<std::unique_ptr<Entry>> entries;  // after dns: questions are forgotten first
  Entry overflow;  // lookups that found no room wait here for their failure
};

Entry* Resolver::State::find_or_make(std::string_view host) {
  if (const auto found = entries.find(host); found != entries.end()) {
    Entry& entry = *found->second;
    by_age.splice(by_age.begin(), by_age, entry.age);
    return &entry;
  }
  if (!make_room()) return nullptr;
  auto made = std::make_unique<Entry>(base, wheel, std::string(host));
  Entry& entry = *made;
  by_age.push_front(&entry);
  entry.age = by_age.begin();
  entries.emplace(entry.name(), std::move(made));
  return &entry;
}

bool Resolver::State::make_room() {
  if (entries.size() < kMaxNames) return true;
  const auto victim = std::find_if(by_age.rbegin(), by_age.rend(),
                                   [](const Entry* entry) { return entry->is_free(); });
  if (victim == by_age.rend()) return false;
  const auto found = entries.find((*victim)->name());
  by_age.erase(found->second->age);
  entries.erase(found);
  return true;
}

Resolver::Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config)
    : Resolver(base, wheel, config, Files{}) {}

Resolver::Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config,
                   const Files& files)
    : state_(std::make_unique<State>(base, wheel, config.dns_timeout, files)) {}

Resolver::~Resolver() = default;

const std::vector<IpAddress>* Resolver::resolve(std::string_view host, Observer& observer,
                                                LookupHandle& lookup) {
  State& state = *state_;
  if (const auto literal = IpAddress::parse(host)) {
    state.scratch.assign(1, *literal);
    return &state.scratch;
  }
  if (const auto* listed = state.hosts.find(host, state.wheel.now_ms())) {
    state.scratch = alternate(*listed);
    return &state.scratch;
  }
  Entry* entry = state.find_or_make(host);
  if (entry == nullptr) {
    entry = &state.overflow;
    entry->fail({Reason::overloaded, "too many names are being resolved"}, 0);
    entry->deliver_soon(Milliseconds{0});
  } else if (entry->is_expired()) {
    entry->ask(state.dns.get(), state.dns_timeout);
  }
  if (entry->step() == Entry::Step::known) return &entry->addresses();
  lookup.reset(new Lookup(observer, entry->waiters()));
  if (entry->step() == Entry::Step::failed) entry->deliver_soon(Milliseconds{0});
  return nullptr;
}

}  // namespace streamgate
