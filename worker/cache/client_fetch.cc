#include "worker/cache/client_fetch.h"

#include <algorithm>
#include <utility>

#include "worker/cache/client_sharing.h"

namespace streamgate {
namespace {

// After this many answers that broke, the request gets a fetch of its own. An endless body that
// lasted for kGoodStream milliseconds does not count.
constexpr unsigned kMaxJoins = 4;
constexpr unsigned kMaxJoinsOfEndless = 6;
constexpr int64_t kGoodStream = 10'000;

// The worker refuses the request before it goes to the upstream, perhaps because of a limit for the
// client that asked first (Resolver).
bool is_ours(const Error& error) { return error.reason == Reason::overloaded; }

Error broken(std::string why) { return {Reason::truncated_body, std::move(why)}; }

}  // namespace

ClientFetch::ClientFetch(FetchEnvironment& environment, Cache* cache, FetchRequest&& request,
                         Fetch::Observer& observer)
    : environment_(environment), cache_(cache), observer_(observer) {
  if (cache_ != nullptr) {
    outcome_ = CacheOutcome::pass;
    // An answer to a GET also answers a HEAD (RFC 9110 9.3.2).
    const Method method = std::exchange(request.method, Method::get);
    const auto key = cache_key(request, cache_->settings_mark());
    if (key && may_share(request)) {
      sharing_ = std::make_unique<Sharing>(std::move(request), method, *key, *cache_, *this);
      return;
    }
    request.method = method;
  }
  fetch_ = &own_.emplace(environment, std::move(request), observer);
}

ClientFetch::~ClientFetch() { leave(); }

// A loop would wait for itself, and a target that is refused gets its error from the fetch.
bool ClientFetch::may_share(const FetchRequest& request) const {
  if (!request.cdn_loop.empty() && !environment_.loop_mark.append_to(request.cdn_loop))
    return false;
  return cache_->check(request).has_value();
}

void ClientFetch::start(const FirstClient& client) {
  if (fetch_ != nullptr) return fetch_->start();
  sharing_->client = client;
  sharing_->client.names_count_for = observer_.client_of_names();
  choose_identity();
  join();
  proceed();
}

// --- the shared answer ---

void ClientFetch::join() {
  Sharing& sharing = *sharing_;
  const int64_t now = cache_->now_ms();
  if (sharing.live != nullptr && now - sharing.joined_ms >= kGoodStream) sharing.joins = 0;
  sharing.joined_ms = now;
  if (++sharing.joins > most_joins()) return pass();
  const Cache::Joined joined = find_object();
  if (joined.object == nullptr) return pass();
  sharing.object = joined.object;
  sharing.waited_for_head = joined.state == CacheState::claim;
  outcome_ = joined.begun != nullptr            ? CacheOutcome::miss
             : joined.state == CacheState::done ? CacheOutcome::hit
                                                : CacheOutcome::shared;
  cache_->begin(joined);
}

Cache::Joined ClientFetch::find_object() {
  Sharing& sharing = *sharing_;
  // A HEAD also waits for a head that is under way: an account may allow one connection only.
  if (sharing.is_head()) return cache_->join_existing(sharing.key, *this);
  // Such a client takes little of an answer that is not there: the upstream answers it for less.
  // A stale answer may only need a 304, and one that broke is continued.
  const bool asks_for_less =
      sharing.answer == nullptr && may_ask_for_less(sharing.request.forwarded);
  return asks_for_less && !cache_->has_stale(sharing.key)
             ? cache_->join_existing(sharing.key, *this)
             : cache_->join(sharing.key, sharing.request, sharing.client, *this);
}

// The worker that fetched the answer has died.
void ClientFetch::rejoin() {
  if (sharing_->live != nullptr && !is_following()) {
    const LiveMemory* const memory = sharing_->object->live().memory;
    sharing_->left_ms = memory == nullptr ? INT64_MAX : memory->written_ms.load();
  }
  leave();
  join();
}

unsigned ClientFetch::most_joins() const {
  return sharing_->live != nullptr ? kMaxJoinsOfEndless : kMaxJoins;
}

void ClientFetch::pass() {
  if (sharing_->answer != nullptr) return fail(broken("the shared answer broke"));
  outcome_ = CacheOutcome::pass;
  FetchRequest& request = sharing_->request;
  request.method = sharing_->method;
  // The identity of a HEAD is not chosen (may_choose_identity).
  if (sharing_->is_head()) request.player_agent.clear();
  fetch_ = &own_.emplace(environment_, std::move(request), observer_);
  fetch_->start();
}

void ClientFetch::leave() {
  if (sharing_ == nullptr || sharing_->object == nullptr) return;
  if (sharing_->live != nullptr) sharing_->live->detach();
  cache_->leave(*std::exchange(sharing_->object, nullptr), *this);
}

void ClientFetch::fail(const Error& error) {
  leave();
  observer_.on_failed(error);
}

void ClientFetch::fail_as_changed() {
  fail(broken("the upstream's answer changed while its worker was replaced"));
}

void ClientFetch::on_unshared(std::unique_ptr<OwnedObject> answer) {
  sharing_->object = nullptr;
  const RequestScope scope(sharing_->note);
  const bool is_endless = sharing_->live != nullptr;
  if (answer == nullptr) {
    if (is_endless && follow_later()) return;
    // A thousand requests in one turn would make it long.
    sharing_->must_pass = true;
    return sharing_->next_turn.schedule();
  }
  taken_ = std::move(answer);
  if (sharing_->answer != nullptr) {
    taken_->cancel();
    // The window of the dead owner may still occupy the memory.
    if (!is_endless || !taken_->lacks_room() || !follow_later()) fail_as_changed();
    return;
  }
  outcome_ = CacheOutcome::pass;
  fetch_ = &taken_->fetch();
  taken_->take_over(observer_);
}

// A client that waits for its turn sees the change then.
void ClientFetch::on_object_changed() {
  if (!sharing_->next_turn.is_scheduled()) proceed();
}

// Delivers as much as has arrived and the client takes, in this turn at most kMaxBytesPerTurn.
void ClientFetch::proceed() {
  Sharing& sharing = *sharing_;
  if (sharing.is_running) return;
  const RequestScope scope(sharing.note);
  if (std::exchange(sharing.must_pass, false)) return pass();
  if (std::exchange(sharing.must_join, false)) {
    taken_.reset();
    join();
  }
  const uint64_t before = sharing.position;
  sharing.turn_left = Sharing::kMaxBytesPerTurn;
  sharing.is_running = true;
  while (sharing.object != nullptr && !sharing.is_paused) {
    if (sharing.turn_left == 0) {
      sharing.next_turn.schedule();
      break;
    }
    if (!take_step()) break;
  }
  sharing.is_running = false;
  if (sharing.object != nullptr && sharing.position != before) observer_.on_read_done();
}

// False if it waits for the owner or for the client, or has ended.
bool ClientFetch::take_step() {
  Sharing& sharing = *sharing_;
  SharedObject& object = *sharing.object;
  switch (object.state()) {
    case CacheState::claim:
      sharing.waited_for_head = true;
      return false;
    case CacheState::failed:
      if (sharing.answer != nullptr && !sharing.must_restart && deliver()) return true;
      if (sharing.object == nullptr || sharing.is_paused) return false;
      return fail_or_follow(object.failure());
    case CacheState::retired:
      if (object.filled() == object.length()) return give_answer();
      [[fallthrough]];
    case CacheState::free:
    case CacheState::broken:
      return read_rest_and_rejoin();
    case CacheState::growing:
    case CacheState::done:
      return give_answer();
  }
  return false;
}

// The owner of an endless body has died. Its window stays until every reader has left it.
bool ClientFetch::read_rest_and_rejoin() {
  Sharing& sharing = *sharing_;
  if (sharing.live != nullptr && deliver_live()) return true;
  if (sharing.object == nullptr || sharing.is_paused) return false;
  rejoin();
  return true;
}

// True if another object takes the place of the failed one.
bool ClientFetch::fail_or_follow(const Error& error) {
  if (is_following() && follow_later()) return false;
  const bool may_ask = is_ours(error) && outcome_ != CacheOutcome::miss &&
                       sharing_->answer == nullptr && sharing_->joins < most_joins();
  if (may_ask) {
    rejoin();
    return true;
  }
  fail(error);
  return false;
}

bool ClientFetch::give_answer() {
  Sharing& sharing = *sharing_;
  const auto head = sharing.object->head();
  if (head == nullptr) {
    rejoin();
    return true;
  }
  if (std::exchange(sharing.must_restart, false)) {
    sharing.previous = std::move(sharing.answer);
    sharing.sink = nullptr;
  }
  if (sharing.answer == nullptr) {
    const bool is_live = sharing.object->is_window();
    if (is_live && !sharing.is_head() && may_ask_for_less(sharing.request.forwarded)) {
      leave();
      pass();
      return false;
    }
    is_live ? begin_live(head) : begin_answer(head);
    return true;
  }
  if (sharing.live != nullptr && !follow_live(*head)) return false;
  if (sharing.live == nullptr && head != sharing.known_head &&
      !have_same_body(*sharing.head, *head)) {
    fail_as_changed();
    return false;
  }
  sharing.known_head = head;
  return deliver();
}

void ClientFetch::begin_answer(const std::shared_ptr<const StoredHead>& head) {
  Sharing& sharing = *sharing_;
  const int64_t age_ms = std::max<int64_t>(0, cache_->now_ms() - head->facts.age_from_ms);
  sharing.head = sharing.known_head = head;
  sharing.answer = answer_for_client(*head, sharing.request.forwarded, sharing.ranges,
                                     outcome_ == CacheOutcome::hit ? age_ms / 1000 : -1);
  sharing.position = sharing.answer->first;
  const FetchFacts& facts = head->facts;
  if (!facts.is_redirected && facts.url != sharing.request.url) observer_.on_next_url();
  observer_.on_head(sharing.answer->head);
}

bool ClientFetch::deliver() {
  if (sharing_->live != nullptr) return deliver_live();
  Sharing& sharing = *sharing_;
  SharedObject& object = *sharing.object;
  const uint64_t there = std::min(object.filled(), sharing.answer->end);
  if (sharing.position >= there) return sharing.position == sharing.answer->end && end();
  const uint64_t room = sharing.sink != nullptr ? sharing.sink->room() : Sharing::kPieceBytes;
  const uint64_t size = std::min<uint64_t>({there - sharing.position, room, sharing.turn_left});
  if (size == 0) return false;
  if (sharing.sink != nullptr && object.is_lent()) {
    const auto place = object.file_bytes(sharing.position, size);
    const auto sent = place ? sharing.sink->send_file(*place) : std::nullopt;
    if (sent) {
      count(environment_.counters, Counter::cache_bytes_uncopied, *sent);
      note_delivered(*sent);
      return true;
    }
  }
  const char* bytes = object.bytes(sharing.position, size);
  if (bytes == nullptr) {
    fail({Reason::internal, "the memory of a shared answer cannot be read"});
    return false;
  }
  note_delivered(size);
  observer_.on_body({bytes, size});
  return true;
}

void ClientFetch::note_delivered(uint64_t size) {
  sharing_->position += size;
  sharing_->turn_left -= std::min(size, sharing_->turn_left);
  // For a HEAD only the first bytes are read, and none is sent.
  if (outcome_ == CacheOutcome::miss || sharing_->is_head()) return;
  count(environment_.counters, Counter::cache_bytes_saved, size);
}

// True if the observer asks for the answer again, without its range.
bool ClientFetch::end() {
  observer_.on_end();
  if (sharing_->must_restart) return true;
  leave();
  return false;
}

// --- as a Fetch ---

void ClientFetch::relay_into(Fetch::Sink& sink) {
  if (fetch_ != nullptr) return fetch_->relay_into(sink);
  sharing_->sink = &sink;
}

void ClientFetch::retry_without_range() {
  if (fetch_ != nullptr) return fetch_->retry_without_range();
  sharing_->ranges = Ranges::without;
  sharing_->must_restart = true;
}

void ClientFetch::pause() {
  if (fetch_ != nullptr) return fetch_->pause();
  sharing_->is_paused = true;
}

void ClientFetch::go_on() {
  if (fetch_ != nullptr) return fetch_->go_on();
  sharing_->is_paused = false;
  proceed();
}

void ClientFetch::stop() {
  if (fetch_ != nullptr) return fetch_->stop();
  sharing_->next_join.reset();
  sharing_->next_turn.cancel();
  leave();
}

std::string ClientFetch::cookies_for_children() {
  if (fetch_ != nullptr) return fetch_->cookies_for_children();
  return sharing_->head->facts.cookies_for_children;
}

std::string_view ClientFetch::step_name() const {
  if (fetch_ != nullptr) return name_of(fetch_->step());
  return name_of(sharing_->answer != nullptr ? Fetch::Step::read_body : Fetch::Step::await_head);
}

const HttpUrl& ClientFetch::url() const {
  if (fetch_ != nullptr) return fetch_->url();
  return sharing_->head != nullptr ? sharing_->head->facts.url : sharing_->request.url;
}

bool ClientFetch::left_origin() const {
  if (fetch_ != nullptr) return fetch_->left_origin();
  return sharing_->head != nullptr && sharing_->head->facts.left_origin;
}

bool ClientFetch::is_redirected() const {
  if (fetch_ != nullptr) return fetch_->is_redirected();
  return sharing_->head != nullptr && sharing_->head->facts.is_redirected;
}

std::string_view ClientFetch::authorization() const {
  if (fetch_ != nullptr) return fetch_->authorization();
  return sharing_->head != nullptr ? sharing_->head->facts.authorization : std::string_view();
}

bool ClientFetch::asked_for_range() const {
  if (fetch_ != nullptr) return fetch_->asked_for_range();
  return sharing_->ranges == Ranges::with && sharing_->request.has_forwarded("Range");
}

int ClientFetch::upstream_status() const {
  if (fetch_ != nullptr) return fetch_->upstream_status();
  return sharing_->head != nullptr ? sharing_->head->head.status : 0;
}

unsigned ClientFetch::attempts() const {
  if (fetch_ != nullptr) return fetch_->attempts();
  return outcome_ == CacheOutcome::miss ? 1 : 0;
}

}  // namespace streamgate
