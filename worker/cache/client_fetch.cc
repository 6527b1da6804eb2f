#include "worker/cache/client_fetch.h"

#include <algorithm>
#include <utility>

#include "worker/cache/answer_for_client.h"
#include "worker/cache/key.h"

namespace streamgate {
namespace {

// Documents are handed on in pieces of this size; other bodies as the client has room.
constexpr uint64_t kPieceBytes = uint64_t{64} * 1024;

// After so many answers that broke, the request gets a fetch of its own.
constexpr unsigned kMaxJoins = 4;

Error broken(std::string why) { return {Reason::truncated_body, std::move(why)}; }

// Whether two answers have the same body: the same length and a strong validator, or without one
// the same date of change.
bool have_same_body(const StoredHead& one, const StoredHead& other) {
  const auto field = [](const StoredHead& head, std::string_view name) {
    return field_or_empty(head.head.fields, name);
  };
  if (one.head.status != other.head.status ||
      one.head.content_length != other.head.content_length) {
    return false;
  }
  const std::string_view tag = field(one, "ETag");
  if (!tag.empty()) return !tag.starts_with("W/") && tag == field(other, "ETag");
  const std::string_view date = field(one, "Last-Modified");
  return !date.empty() && date == field(other, "Last-Modified");
}

}  // namespace

std::string_view name_of(CacheOutcome outcome) {
  switch (outcome) {
    case CacheOutcome::off:
      return "";
    case CacheOutcome::hit:
      return "hit";
    case CacheOutcome::shared:
      return "shared";
    case CacheOutcome::miss:
      return "miss";
    case CacheOutcome::pass:
      return "pass";
  }
  return "?";
}

bool is_shared(CacheOutcome outcome) {
  return outcome != CacheOutcome::off && outcome != CacheOutcome::pass;
}

// The state of an answer that is shared, or may be.
struct ClientFetch::Sharing {
  FetchRequest request;
  CacheKey key;
  FirstClient client = {};
  const RequestNote* const note = current_note();
  SharedObject* object = nullptr;                          // null: before join(), and after the end
  std::shared_ptr<const StoredHead> head = nullptr;        // of `answer`
  std::shared_ptr<const StoredHead> known_head = nullptr;  // of the object; found to be the same
  std::unique_ptr<AnswerForClient> answer = nullptr;       // null: the observer has no head
  std::unique_ptr<AnswerForClient> previous = nullptr;     // that of a range, after a restart
  Fetch::Sink* sink = nullptr;
  Ranges ranges = Ranges::with;
  uint64_t position = 0;  // of the next byte
  unsigned joins = 0;
  bool is_paused = false;
  bool is_running = false;  // in proceed()
  bool must_restart = false;
};

ClientFetch::ClientFetch(FetchEnvironment& environment, Cache* cache, FetchRequest&& request,
                         Fetch::Observer& observer)
    : environment_(environment), cache_(cache), observer_(observer) {
  if (cache_ != nullptr) {
    outcome_ = CacheOutcome::pass;
    const auto key = cache_key(request, cache_->settings_mark());
    if (key && may_share(request)) {
      sharing_.reset(new Sharing{std::move(request), *key});
      return;
    }
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
  join();
  proceed();
}

// --- the shared answer ---

void ClientFetch::join() {
  Sharing& sharing = *sharing_;
  if (++sharing.joins > kMaxJoins) return pass();
  // Such a client takes little of an answer that is not there: the upstream answers it for less.
  // A stale answer may only need a 304.
  const Cache::Joined joined =
      may_ask_for_less(sharing.request.forwarded) && !cache_->has_stale(sharing.key)
          ? cache_->join_existing(sharing.key, *this)
          : cache_->join(sharing.key, sharing.request, sharing.client, *this);
  if (joined.object == nullptr) return pass();
  sharing.object = joined.object;
  outcome_ = joined.begun != nullptr            ? CacheOutcome::miss
             : joined.state == CacheState::done ? CacheOutcome::hit
                                                : CacheOutcome::shared;
  cache_->begin(joined);
}

// The answer broke with the worker that fetched it.
void ClientFetch::rejoin() {
  leave();
  join();
}

void ClientFetch::pass() {
  if (sharing_->answer != nullptr) return fail(broken("the shared answer broke"));
  outcome_ = CacheOutcome::pass;
  fetch_ = &own_.emplace(environment_, std::move(sharing_->request), observer_);
  fetch_->start();
}

void ClientFetch::leave() {
  if (sharing_ == nullptr || sharing_->object == nullptr) return;
  cache_->leave(*std::exchange(sharing_->object, nullptr), *this);
}

void ClientFetch::fail(const Error& error) {
  leave();
  observer_.on_failed(error);
}

void ClientFetch::on_unshared(std::unique_ptr<OwnedObject> answer) {
  sharing_->object = nullptr;
  const RequestScope scope(sharing_->note);
  if (answer == nullptr) return pass();
  outcome_ = CacheOutcome::pass;
  taken_ = std::move(answer);
  fetch_ = &taken_->fetch();
  taken_->take_over(observer_);
}

void ClientFetch::on_object_changed() { proceed(); }

// Goes as far as the answer is there and the client takes it.
void ClientFetch::proceed() {
  Sharing& sharing = *sharing_;
  if (sharing.is_running) return;
  const RequestScope scope(sharing.note);
  const uint64_t before = sharing.position;
  sharing.is_running = true;
  while (sharing.object != nullptr && !sharing.is_paused && take_step()) {
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
      return false;
    case CacheState::failed:
      if (sharing.answer != nullptr && deliver()) return true;
      if (sharing.object != nullptr && !sharing.is_paused) fail(object.failure());
      return false;
    case CacheState::retired:
      if (object.filled() == object.length()) return give_answer();
      [[fallthrough]];
    case CacheState::free:
    case CacheState::broken:
      rejoin();
      return true;
    case CacheState::growing:
    case CacheState::done:
      return give_answer();
  }
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
    begin_answer(head);
    return true;
  }
  if (head != sharing.known_head && !have_same_body(*sharing.head, *head)) {
    fail(broken("the upstream's answer changed while its worker was replaced"));
    return false;
  }
  sharing.known_head = head;
  return deliver();
}

void ClientFetch::begin_answer(const std::shared_ptr<const StoredHead>& head) {
  Sharing& sharing = *sharing_;
  const int64_t age_ms = cache_->now_ms() - sharing.object->stored_ms();
  sharing.head = sharing.known_head = head;
  sharing.answer = answer_for_client(*head, sharing.request.forwarded, sharing.ranges,
                                     outcome_ == CacheOutcome::hit ? age_ms / 1000 : -1);
  sharing.position = sharing.answer->first;
  const FetchFacts& facts = head->facts;
  if (!facts.is_redirected && facts.url != sharing.request.url) observer_.on_next_url();
  observer_.on_head(sharing.answer->head);
}

bool ClientFetch::deliver() {
  Sharing& sharing = *sharing_;
  SharedObject& object = *sharing.object;
  const uint64_t there = std::min(object.filled(), sharing.answer->end);
  if (sharing.position >= there) return sharing.position == sharing.answer->end && end();
  const uint64_t room = sharing.sink != nullptr ? sharing.sink->room() : kPieceBytes;
  const uint64_t size = std::min<uint64_t>(there - sharing.position, room);
  if (size == 0) return false;
  const char* bytes = object.bytes(sharing.position, size);
  if (bytes == nullptr) {
    fail({Reason::internal, "the memory of a shared answer cannot be read"});
    return false;
  }
  sharing.position += size;
  if (outcome_ != CacheOutcome::miss) {
    count(environment_.counters, Counter::cache_bytes_saved, size);
  }
  observer_.on_body({bytes, size});
  return true;
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
