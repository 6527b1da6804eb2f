#include "worker/cache/owned_object.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "worker/cache/revalidation.h"
#include "worker/upstream/connection_places.h"

namespace streamgate {
namespace {

// Answers without a length are shared up to this size, head included.
constexpr uint64_t kMaxBytesWithoutLength = uint64_t{256} * 1024;
// Errors are shared up to this size.
constexpr uint64_t kMaxErrorBytes = uint64_t{64} * 1024;
// A body of at least kMinLentBytes bytes is lent after kUsesToLend requests of the owner's clients,
// not counting the first.
constexpr uint64_t kMinLentBytes = uint64_t{128} * 1024;
constexpr unsigned kUsesToLend = 3;
// After this many purges before its head an answer is not stored.
constexpr size_t kMaxOrders = 16;

// Manifests are text; segments are not.
bool looks_like_a_document(std::string_view body) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (body.starts_with(kMark)) body.remove_prefix(kMark.size());
  const size_t first = body.find_first_not_of(" \t\r\n");
  if (first == body.npos) return true;
  // UTF-16 too.
  return std::string_view("#<{[\xfe\xff").find(body[first]) != std::string_view::npos;
}

std::vector<std::string> urls_of(const FetchRequest& request) {
  std::vector<std::string> out{request.url.to_string()};
  for (const UpstreamUrl& url : request.alternatives) out.push_back(url.url.to_string());
  if (request.before_bar) out.push_back(request.before_bar->to_string());
  return out;
}

}  // namespace

OwnedObject::OwnedObject(const Tools& tools, const CacheKey& key, const CacheSeat::Object& place,
                         FetchRequest&& request, const FirstClient& client,
                         const Previous& previous)
    : SharedObject(tools.seat, key, place),
      tools_(tools),
      note_(client.text, client.id, "GET"),
      names_count_for_(client.names_count_for),
      link_cookies_(request.cookies),
      is_blocking_(request.is_blocking),
      limit_key_(limit_key_of(request.url, tools.fetches.hosts.of(request.url))),
      urls_(urls_of(request)),
      basis_(previous.basis),
      previous_playlist_(previous.playlist) {
  if (basis_ != nullptr) {
    basis_->add(*this);
    for (ForwardedField& field : conditions_for(*basis_->head())) {
      request.forwarded.push_back(std::move(field));
    }
  }
  note_.set_target(log::redact(urls_.front()));
  const RequestScope scope(&note_);
  fetch_.emplace(tools_.fetches, std::move(request), static_cast<Fetch::Observer&>(*this));
}

void OwnedObject::start() {
  const RequestScope scope(&note_);
  fetch_->start();
}

void OwnedObject::leave_basis() {
  if (basis_ != nullptr) tools_.keeper.leave_basis(*std::exchange(basis_, nullptr), *this);
}

void OwnedObject::cancel() {
  leave_basis();
  has_ended_ = true;
  head_ = nullptr;
  // First: a request that comes after the end of the connection must not find this answer.
  if (is_under_way()) seat().retire(place());
  fetch_->stop();
}

bool OwnedObject::is_covered(const PurgeOrder& order) const {
  const bool is_requested = std::any_of(urls_.begin(), urls_.end(),
                                        [&](const std::string& url) { return order.covers(url); });
  if (is_requested) return true;
  const HttpUrl& last = facts_ ? facts_->url : fetch_->url();
  if (order.covers(last.to_string())) return true;
  // After a 304 the answer is a copy of the basis.
  const auto stored = basis_ != nullptr ? basis_->head() : nullptr;
  return stored != nullptr && order.covers(stored->facts.url.to_string());
}

void OwnedObject::keep_order(const std::shared_ptr<const PurgeOrder>& order) {
  if (facts_ || !is_fetching()) return;
  orders_.push_back(order);
  if (orders_.size() == kMaxOrders) tools_.keeper.on_covered(*this);
}

void OwnedObject::take_over(Fetch::Observer& observer) {
  successor_ = &observer;
  fetch_->set_observer(observer);
  observer.on_head(*head_);
  // The observer may have stopped the fetch, or started it again.
  if (fetch_->step() != Fetch::Step::read_body) return;
  if (!held_.empty()) return observer.on_body(held_);
  if (filled_ > 0) observer.on_body({body_memory(), filled_});
}

// Whether the successor takes the rest of this answer. It may have stopped the fetch, or begun it
// anew.
bool OwnedObject::is_handed_over() const {
  return successor_ != nullptr && fetch_->step() == Fetch::Step::read_body;
}

// At the end of the process other workers may still read it, so its pages stay: the master returns
// them when no lease is left (CacheDirectory::sweep).
OwnedObject::~OwnedObject() {
  if (region_) tools_.regions.give_back(*region_);
}

void OwnedObject::release_region() {
  if (!region_) return;
  is_lent_ ? tools_.regions.give_back_without_pages(*region_) : tools_.regions.give_back(*region_);
  region_.reset();
}

void OwnedObject::note_use(int64_t now_ms) {
  used_ms = now_ms;
  ++uses_;
  lend_if_popular();
}

// Each region that was lent costs new pages, so only bodies that are used often are lent.
void OwnedObject::lend_if_popular() {
  if (is_lent_ || uses_ < kUsesToLend || room_ < kMinLentBytes || live_) return;
  const CacheState now = state();
  if (now != CacheState::growing && now != CacheState::done) return;
  is_lent_ = true;
  seat().lend(place());
}

// Without room the readers get the reason alone.
void OwnedObject::publish_failure(const Error& error) {
  const std::string text = print_failure(error);
  release_region();
  region_ = tools_.keeper.take_region(text.size());
  if (!region_) return;
  std::memcpy(tools_.regions.memory_of(*region_), text.data(), text.size());
  const uint64_t offset =
      CacheDirectory::body_offset(place().owner) + tools_.regions.offset_of(*region_);
  seat().publish(place(), {offset, text.size(), kUnknownLength, 0, 0});
  seat().set_reason(place(), 0);
}

// --- the answer ---

// Another URL of the link: the redirects were those of the last one.
void OwnedObject::on_next_url() {
  redirects_fresh_until_ms_ = INT64_MAX;
  has_unstated_redirect_ = has_private_redirect_ = false;
}

// The answer is stored for the URL that was requested, so it is no longer fresh than the redirects
// that lead to it (RFC 9111 4). A permanent one without a time is as fresh as the answer.
void OwnedObject::on_redirect(const ResponseHead& head) {
  const Freshness said = freshness_of_head(head);
  const bool is_permanent = head.status == 301 || head.status == 308;
  if (said.may_share && !said.seconds) {
    has_unstated_redirect_ = has_unstated_redirect_ || !is_permanent;
    return;
  }
  // It may lead to a URL that the upstream has made for one client.
  has_private_redirect_ = has_private_redirect_ || !said.may_share;
  const int64_t seconds = said.may_share ? *said.seconds : 0;
  redirects_fresh_until_ms_ = std::min(redirects_fresh_until_ms_, age_from_ms() + seconds * 1000);
}

// The upstream may have made its answer when the request came (RFC 9111 4.2.3). One that it was
// asked to hold is made at the end of that time: else players that ask a moment later than the
// others would cost the upstream a request of their own.
int64_t OwnedObject::age_from_ms() const {
  return is_blocking_ ? tools_.fetches.wheel.now_ms() : fetch_->asked_ms();
}

Freshness OwnedObject::freshness_of_head(const ResponseHead& head) const {
  const bool is_ignored = tools_.keeper.may_ignore_no_store(fetch_->url());
  return freshness_of(head.fields, is_ignored ? NoStore::ignored : NoStore::honoured,
                      ::time(nullptr));
}

void OwnedObject::on_head(const ResponseHead& head) {
  head_ = &head;
  age_from_ms_ = age_from_ms();
  if (basis_ != nullptr && head.status == 304) return;  // on_end() follows
  leave_basis();
  if (!may_share(head)) return tools_.keeper.on_unshareable(*this);
  if (may_be_live_) return;
  if (!begin_body(head)) return tools_.keeper.on_unshareable(*this);
  if (is_without_length_) return;
  fetch_->relay_into(*this);
  publish(head, head.content_length);
  seat().set_state(place(), CacheState::growing);
  lend_if_popular();
  head_ = nullptr;  // a resumed body has another connection, and the head is gone
  // The readers are notified when the read is over. Each then sends its head together with the
  // bytes of this read, and no reader waits for the heads of a thousand others.
}

bool OwnedObject::may_share(const ResponseHead& head) {
  is_answer_ok_ = head.status == 200;
  if (!is_answer_ok_ && head.status < 400) return false;
  if (head.framing == Framing::none || find_field(head.fields, "icy-metaint")) return false;
  const Freshness said = freshness_of_head(head);
  if (!said.may_share || has_private_redirect_) return false;
  fresh_seconds_ = said.seconds;
  is_without_length_ = head.framing != Framing::length;
  const bool is_document = tools_.keeper.claims_document(head, fetch_->url().path());
  may_be_live_ = is_without_length_ && !is_document && may_be_live(head);
  if (may_be_live_) return true;
  if (is_without_length_) return is_answer_ok_ && is_document && !has_new_cookies();
  const uint64_t most = is_answer_ok_ ? tools_.config.object_size : kMaxErrorBytes;
  return head.content_length <= most && !has_new_cookies();
}

// The children of a document would carry them.
bool OwnedObject::has_new_cookies() { return fetch_->cookies_for_children() != link_cookies_; }

FetchFacts OwnedObject::facts() {
  return {fetch_->url(),
          fetch_->left_origin(),
          fetch_->is_redirected(),
          std::string(fetch_->authorization()),
          fetch_->cookies_for_children(),
          age_from_ms_};
}

void OwnedObject::set_facts() {
  facts_ = facts();
  const std::string url = facts_->url.to_string();
  const bool is_purged = std::any_of(orders_.begin(), orders_.end(),
                                     [&](const auto& order) { return order->covers(url); });
  orders_.clear();
  if (is_purged) tools_.keeper.on_covered(*this);
}

// False if there is no room.
bool OwnedObject::begin_body(const ResponseHead& head) {
  // The framing of a body without a length changes at its end; the size of the text does not.
  // Cookies of the link may expire until then, so the facts are taken once.
  set_facts();
  head_size_ = print_head(head, *facts_).size();
  const uint64_t size =
      is_without_length_ ? kMaxBytesWithoutLength : head_size_ + head.content_length;
  if (size < head_size_) return false;
  region_ = tools_.keeper.take_region(size);
  lacks_room_ = !region_;
  if (!region_) return false;
  room_ = size - head_size_;
  has_validator_ = find_field(head.fields, "ETag") || find_field(head.fields, "Last-Modified");
  claims_document_ = find_field(head.fields, "Content-Encoding") ||
                     tools_.keeper.claims_document(head, fetch_->url().path());
  return true;
}

void OwnedObject::publish(const ResponseHead& head, uint64_t length) {
  const std::string text = print_head(head, *facts_);
  CHECK(text.size() == head_size_);
  std::memcpy(tools_.regions.memory_of(*region_), text.data(), text.size());
  const int64_t now = tools_.fetches.wheel.now_ms();
  seat().publish(place(),
                 {CacheDirectory::body_offset(place().owner) + tools_.regions.offset_of(*region_),
                  head_size_, length, now, now});
}

void OwnedObject::on_body(std::string_view bytes) {
  if (live_) return live_->write(bytes);
  if (may_be_live_) return look_at_first_bytes(bytes);
  if (bytes.size() > room_ - filled_) {
    CHECK(is_without_length_);
    // A body without a length that is too long.
    tools_.keeper.on_unshareable(*this);
    if (is_handed_over()) successor_->on_body(bytes);
    return;
  }
  std::memcpy(body_memory() + filled_, bytes.data(), bytes.size());
  filled_ += bytes.size();
}

// A body with a length is read directly into the region. The first bytes come with the head.
std::span<char> OwnedObject::memory() {
  if (live_ || may_be_live_ || is_without_length_ || successor_ != nullptr) return {};
  return {body_memory() + filled_, room_ - filled_};
}

void OwnedObject::on_read_done() {
  if (live_) return live_->publish(tools_.fetches.wheel.now_ms());
  if (is_without_length_) return;
  seat().set_filled(place(), filled_);
  tools_.keeper.on_changed(*this);
}

void OwnedObject::on_end() {
  if (basis_ != nullptr) return refresh();
  if (live_) {
    live_->finish(tools_.fetches.wheel.now_ms());
    filled_ = live_->filled();
    seat().set_length(place(), filled_);
    return complete();
  }
  if (may_be_live_) return end_undecided();
  if (is_without_length_) {
    ResponseHead whole = *head_;
    whole.framing = Framing::length;
    whole.content_length = filled_;
    publish(whole, filled_);
  }
  complete();
}

// After a 304.
void OwnedObject::refresh() {
  const std::shared_ptr<const StoredHead> stored = basis_->head();
  set_facts();
  const ResponseHead head = refreshed_head(*stored, *head_);
  const bool is_copied = is_about(*head_, *facts_, *stored) && may_share(head) && copy_basis(head);
  leave_basis();
  if (!is_copied) {
    has_ended_ = true;
    head_ = nullptr;
    return tools_.keeper.on_basis_useless(*this);
  }
  count(tools_.fetches.counters, Counter::cache_validated);
  complete();
}

// False if there is no room.
bool OwnedObject::copy_basis(const ResponseHead& head) {
  const uint64_t length = basis_->length();
  const char* const body = basis_->bytes(0, length);
  if (body == nullptr || !begin_body(head)) return false;
  std::memcpy(body_memory(), body, length);
  filled_ = length;
  publish(head, length);
  return true;
}

void OwnedObject::complete() {
  seat().set_filled(place(), filled_);
  seat().set_fresh_until(place(), end_of_freshness_ms());
  may_be_validated_ = is_answer_ok_ && has_validator_;
  seat().set_state(place(), CacheState::done);
  has_ended_ = true;
  head_ = nullptr;
  tools_.keeper.on_changed(*this);
  tools_.keeper.on_fetched(*this);
}

// What the upstream says counts from the request on (RFC 9111 4.2.3), our ages from the end.
int64_t OwnedObject::end_of_freshness_ms() {
  const int64_t now_ms = tools_.fetches.wheel.now_ms();
  if (!is_answer_ok_ || live_) return now_ms;
  int64_t until_ms = redirects_fresh_until_ms_;
  if (fresh_seconds_) until_ms = std::min(until_ms, age_from_ms_ + *fresh_seconds_ * 1000);
  if (fresh_seconds_ && !has_unstated_redirect_) return until_ms;
  return std::min(until_ms, now_ms + own_age_ms());
}

// For what the upstream does not say.
int64_t OwnedObject::own_age_ms() {
  const std::string_view body(body_memory(), filled_);
  const bool is_document = claims_document_ || looks_like_a_document(body);
  return is_document ? playlist_lifetime_ms(body) : tools_.config.segment_age.count();
}

int64_t OwnedObject::playlist_lifetime_ms(std::string_view text) {
  const int64_t age_ms = tools_.config.playlist_age.count();
  const auto playlist = age_ms > 0 ? read_live_playlist(text) : std::nullopt;
  if (!playlist) return age_ms;
  is_live_playlist_ = true;
  seat().set_edge(place(), playlist->edge);
  return live_playlist_lifetime_ms(*playlist, previous_playlist_, tools_.fetches.wheel.now_ms(),
                                   age_ms);
}

void OwnedObject::on_failed(const Error& error) {
  has_ended_ = true;
  error_ = error;
  head_ = nullptr;
  leave_basis();
  // The length stays unknown, so that no reader takes the body for complete.
  if (live_) live_->finish(tools_.fetches.wheel.now_ms());
  seat().set_reason(place(), 1 + static_cast<uint64_t>(error.reason));
  if (state() == CacheState::claim) publish_failure(error);
  seat().set_state(place(), CacheState::failed);
  tools_.keeper.on_changed(*this);
  tools_.keeper.on_fetched(*this);
}

}  // namespace streamgate
