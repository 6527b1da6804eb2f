#include "worker/upstream/dns_question.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr Milliseconds kResolutionDelay{50};  // RFC 8305 3
constexpr Milliseconds kMinWait{50};
constexpr Milliseconds kMaxWait{2000};

timeval timeval_of(Milliseconds time) {
  return {time.count() / 1000, static_cast<suseconds_t>(time.count() % 1000) * 1000};
}

// The time before the next server is asked. A fifth of `timeout` allows five queries per family.
Milliseconds wait_of(Milliseconds timeout) { return std::clamp(timeout / 5, kMinWait, kMaxWait); }

bool has(const std::optional<DnsAnswer>& answer, DnsAnswer::Kind kind) {
  return answer && answer->kind == kind;
}

}  // namespace

std::vector<IpAddress> alternate_families(const std::vector<IpAddress>& mixed) {
  std::vector<IpAddress> v6;
  std::vector<IpAddress> v4;
  for (const IpAddress& address : mixed) (address.is_v4 ? v4 : v6).push_back(address);
  std::vector<IpAddress> out;
  out.reserve(mixed.size());
  for (size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
    if (i < v6.size()) out.push_back(v6[i]);
    if (i < v4.size()) out.push_back(v4[i]);
  }
  return out;
}

DnsQuestion::DnsQuestion(Environment& environment, std::string name)
    : environment_(environment),
      name_(std::move(name)),
      deadline_(environment.wheel, this, call<&DnsQuestion::on_deadline>),
      timer_(evtimer_new(environment.base, callback<&DnsQuestion::on_timer>, this)) {
  CHECK(timer_);
  sides_[0].family = IpFamily::v6;
  sides_[1].family = IpFamily::v4;
}

DnsQuestion::~DnsQuestion() {
  for (Side& side : sides_) forget_queries(side);
}

// --- events: each stores the result and wakes the owner ---

void DnsQuestion::on_answer(DnsQuery& query, DnsAnswer answer) {
  Side& side = side_of(query.family);
  if (side.answer || answer.kind == DnsAnswer::Kind::silent) return;
  switch (answer.kind) {
    case DnsAnswer::Kind::failed:
    case DnsAnswer::Kind::unreachable:
      side.failure = answer.detail;
      side.wants_next = true;
      break;
    case DnsAnswer::Kind::no_edns:  // the same server again
      std::erase(side.asked, query.server);
      side.wants_next = true;
      break;
    case DnsAnswer::Kind::abandoned:  // resolv.conf has other servers now
      side.asked.clear();
      side.wants_next = true;
      break;
    default:
      side.answer = std::move(answer);
      side.answered_ms = environment_.wheel.now_ms();
  }
  environment_.owner.wake(*this);
}

void DnsQuestion::on_timer() {
  has_timer_fired_ = true;
  environment_.owner.wake(*this);
}

void DnsQuestion::on_deadline() {
  is_late_ = true;
  environment_.owner.wake(*this);
}

void DnsQuestion::give_up(Error error) {
  given_up_ = std::move(error);
  environment_.owner.wake(*this);
}

// --- steps ---

DnsQuestion::Progress DnsQuestion::advance() {
  if (given_up_) return fail(*given_up_);
  if (!has_begun_) {
    has_begun_ = true;
    candidates_ = environment_.servers.candidates(name_);
    deadline_.arm(std::max(environment_.timeout, Milliseconds{1}));
    begin_candidate();
  }
  if (is_late_) return conclude_late();
  const bool fired = std::exchange(has_timer_fired_, false);
  continue_after_failures();
  if (fired && !is_resolution_delay_) {
    for (Side& side : sides_) repeat(side);
    arm(wait_of(environment_.timeout));
  }
  if (is_decided()) return conclude();
  if (!has_addresses() || !result_.addresses.empty()) return Progress::asking;
  if (fired && is_resolution_delay_) {
    is_resolution_delay_ = false;
    arm(wait_of(environment_.timeout));
    collect_addresses();
    return Progress::has_addresses;
  }
  if (!is_resolution_delay_) {
    is_resolution_delay_ = true;
    arm(kResolutionDelay);
  }
  return Progress::asking;
}

void DnsQuestion::begin_candidate() {
  for (Side& side : sides_) {
    forget_queries(side);
    side.answer.reset();
    side.asked.clear();
    side.failure = nullptr;
    side.wants_next = false;
  }
  DnsServer* const probed = environment_.servers.probe();
  for (Side& side : sides_) {
    ask_next(side);
    if (probed != nullptr && side.asked.front() != probed->id()) ask(side, *probed);
  }
  arm(wait_of(environment_.timeout));
}

void DnsQuestion::ask_next(Side& side) {
  if (DnsServer* const server = environment_.servers.next(side.asked)) ask(side, *server);
}

void DnsQuestion::ask(Side& side, DnsServer& server) {
  side.asked.push_back(server.id());
  std::erase_if(side.queries, [](const auto& query) { return !query->is_open; });
  side.queries.push_back(std::make_shared<DnsQuery>(
      DnsQuery{this, side.family, environment_.wheel.now_ms(), server.id()}));
  server.ask(candidates_[candidate_], side.queries.back());
}

// A family fails when every server has been asked and no query is open.
void DnsQuestion::continue_after_failures() {
  for (Side& side : sides_) {
    while (side.wants_next && !side.answer) {
      side.wants_next = false;
      const size_t asked = side.asked.size();
      ask_next(side);
      if (side.asked.size() > asked) continue;  // perhaps it has failed already
      const bool waits = std::any_of(side.queries.begin(), side.queries.end(),
                                     [](const auto& query) { return query->is_open; });
      if (!waits) side.answer = DnsAnswer{DnsAnswer::Kind::failed, side.failure, {}};
    }
  }
}

// After the wait for an answer: asks the next server, or begins another round.
void DnsQuestion::repeat(Side& side) {
  if (side.answer) return;
  const bool may_be_answered = may_still_be_answered(side);
  const size_t asked = side.asked.size();
  ask_next(side);
  if (side.asked.size() > asked) return;
  if (side.failure != nullptr && !may_be_answered) {
    side.answer = DnsAnswer{DnsAnswer::Kind::failed, side.failure, {}};
    return;
  }
  side.asked.clear();
  ask_next(side);
}

// Whether a query is open at a server that is not suspect.
bool DnsQuestion::may_still_be_answered(const Side& side) const {
  bool may = false;
  for (const auto& query : side.queries) {
    if (!query->is_open) continue;
    DnsServer* const server = environment_.servers.find(query->server);
    if (server == nullptr) continue;
    server->note_wait(*query);
    may = may || !server->is_suspect();
  }
  return may;
}

void DnsQuestion::forget_queries(Side& side) {
  for (const auto& query : side.queries) query->observer = nullptr;
  side.queries.clear();
}

// --- the end ---

DnsQuestion::Progress DnsQuestion::conclude() {
  if (has_addresses()) {
    collect_addresses();
    return Progress::answered;
  }
  if (candidate_ + 1 < candidates_.size()) {
    if (const char* const failure = failure_of_sides()) failure_ = failure;
    ++candidate_;
    begin_candidate();
    environment_.owner.wake(*this);  // a query may have failed already
    return Progress::asking;
  }
  return fail(describe_failure());
}

DnsQuestion::Progress DnsQuestion::conclude_late() {
  if (has_addresses()) {
    collect_addresses();
    return Progress::answered;
  }
  if (const char* const failure = failure_of_sides()) {
    return fail(Error::of(Reason::dns_failed, Cause::name_server_failed, name_ + ": " + failure));
  }
  return fail({Reason::dns_timeout, name_ + ": no answer"});
}

DnsQuestion::Progress DnsQuestion::fail(Error error) {
  error_ = std::move(error);
  return Progress::failed;
}

const char* DnsQuestion::failure_of_sides() const {
  return sides_[0].failure != nullptr ? sides_[0].failure : sides_[1].failure;
}

// NXDOMAIN for one family is enough: it concerns the name.
Error DnsQuestion::describe_failure() {
  const auto either = [this](DnsAnswer::Kind kind) {
    return has(sides_[0].answer, kind) || has(sides_[1].answer, kind);
  };
  if (either(DnsAnswer::Kind::bad_name)) {
    return Error::of(Reason::dns_failed, Cause::bad_name, name_ + ": is not a DNS name");
  }
  const bool does_not_exist = either(DnsAnswer::Kind::no_such_name);
  if (either(DnsAnswer::Kind::failed) && !does_not_exist) failure_ = failure_of_sides();
  if (failure_ != nullptr) {
    return Error::of(Reason::dns_failed, Cause::name_server_failed, name_ + ": " + failure_);
  }
  is_negative_ = true;
  if (does_not_exist) {
    return Error::of(Reason::dns_failed, Cause::no_such_name, name_ + ": no such name");
  }
  return Error::of(Reason::dns_failed, Cause::name_without_address, name_ + ": has no address");
}

bool DnsQuestion::has_addresses() const {
  return has(sides_[0].answer, DnsAnswer::Kind::addresses) ||
         has(sides_[1].answer, DnsAnswer::Kind::addresses);
}

void DnsQuestion::collect_addresses() {
  std::vector<IpAddress> found;
  int64_t ttl_ms = std::numeric_limits<int64_t>::max();
  for (const Side& side : sides_) {
    if (!has(side.answer, DnsAnswer::Kind::addresses)) continue;
    found.insert(found.end(), side.answer->addresses.begin(), side.answer->addresses.end());
    const int64_t age = environment_.wheel.now_ms() - side.answered_ms;
    ttl_ms = std::min(ttl_ms, side.answer->ttl_ms - age);
  }
  result_.addresses = alternate_families(found);
  const std::string& asked = candidates_[candidate_];
  if (asked != name_) result_.full_name = asked;
  ttl_ms_ = ttl_ms;
}

void DnsQuestion::arm(Milliseconds wait) {
  const timeval time = timeval_of(wait);
  CHECK(event_add(timer_.get(), &time) == 0);
}

}  // namespace streamgate
