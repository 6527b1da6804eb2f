#include "worker/cache/cache.h"

#include <algorithm>
#include <utility>

#include "common/ip_address.h"
#include "common/socket_address.h"
#include "worker/cache/key.h"
#include "worker/cache/revalidation.h"

namespace streamgate {
namespace {

constexpr std::chrono::milliseconds kTick{100};
// The pages of free regions go back to the kernel after one to two of these.
constexpr unsigned kTicksOfTrim = 10;
// For this long after an answer could not be shared, requests for it do not wait for each other.
// For this long after a 304 did not fit a stale answer, that answer is not used as a basis.
constexpr std::chrono::milliseconds kUnshareableFor{10'000};
// How long a stale answer with a validator is kept.
constexpr std::chrono::milliseconds kStaleFor{300'000};
// The number of rows that are freed when none is left.
constexpr size_t kRowsToFree = kCacheRows / 16;
// How long a stale live playlist is kept: the next answer is compared with it.
constexpr std::chrono::milliseconds kPlaylistFor{1'000};
// When there is no room, 1/kShareToEvict of the memory is freed, at most kMaxEvicted.
constexpr uint64_t kShareToEvict = 16;
constexpr uint64_t kMaxEvicted = uint64_t{16} << 20U;
constexpr unsigned kMaxStepsUp = 64;
constexpr uint64_t kMaxHeadBytes = uint64_t{256} * 1024;  // of an object, beside its body

}  // namespace

Cache::Cache(const Environment& environment, CacheDirectory& directory, unsigned column)
    : environment_(environment),
      seat_(directory, column),
      purges_(seat_, *this, environment.fetches.wheel),
      regions_(seat_, directory.own_bodies(), environment.config.memory,
               std::max<uint64_t>(environment.config.object_size,
                                  LiveWindow::memory_size(environment.config.live_window)) +
                   kMaxHeadBytes),
      live_clock_(environment.base, environment.config.live_batch, *this),
      woken_(environment.base, seat_.waker(), EV_READ | EV_PERSIST, callback<&Cache::on_woken>,
             this),
      tick_(environment.fetches.wheel, this, call<&Cache::on_tick>) {
  woken_.add();
  tick_.arm(kTick);
}

Cache::~Cache() {
  // Destroying the objects ends their connections. A later request must not find them.
  for (const auto& object : owned_) {
    if (object->is_under_way()) seat_.close(object->place());
  }
  for (const auto& object : leased_) seat_.drop(object->place());
}

// A reader's callback may end any object. The memory of an ended one stays valid (Reaper).
std::vector<SharedObject*> Cache::snapshot(const Objects& objects) {
  std::vector<SharedObject*> out;
  out.reserve(objects.size());
  for (const auto& object : objects) out.push_back(object.get());
  return out;
}

Result<void> Cache::check(const FetchRequest& request) const {
  const TargetGuard& guard = environment_.fetches.guard;
  if (auto allowed = guard.check_name(request.url); !allowed) return allowed;
  const auto literal = IpAddress::parse(request.url.host);
  if (!literal) return {};
  return guard.check_address(request.url, SocketAddress(*literal, request.url.port));
}

// --- to join and to leave ---

Cache::Joined Cache::join(const CacheKey& key, const FetchRequest& request,
                          const FirstClient& client, SharedObject::Reader& reader) {
  const int64_t now = now_ms();
  SharedObject* const known = find_known(key);
  if (SharedObject* own = use_known(known, now)) {
    own->add(reader);
    return {own, nullptr, own->state()};
  }
  const auto mark = unshareable_.find(key.words[1], now);
  if (mark && mark->age < kUnshareableFor) return {};
  if (seat_.free_rows() == 0) make_rows();
  const auto place = seat_.find_or_claim(key, now);
  seat_.wake_noted();
  if (!place || !seat_.owns(*place)) {
    if (known != nullptr && !known->is_ended) retire(*known);
    return place ? add_leased(key, *place, reader) : Joined{};
  }
  auto made = std::make_unique<OwnedObject>(
      OwnedObject::Tools{seat_, regions_, environment_.fetches, environment_.config, *this}, key,
      *place, shared_request(request), client, take_previous(known, key, now));
  OwnedObject& object = *made;
  owned_.push_front(std::move(made));
  object.self = owned_.begin();
  list(object);
  object.add(reader);
  return {&object, &object, CacheState::claim};
}

Cache::Joined Cache::join_existing(const CacheKey& key, SharedObject::Reader& reader) {
  const int64_t now = now_ms();
  SharedObject* const known = find_known(key);
  if (SharedObject* own = use_known(known, now)) {
    own->add(reader);
    return {own, nullptr, own->state()};
  }
  const auto place = seat_.find(key, now);
  if (!place) return {};
  // `known` is stale. Otherwise the next request would find it in place of the new one.
  if (known != nullptr && !known->is_ended) retire(*known);
  return add_leased(key, *place, reader);
}

bool Cache::has_stale(const CacheKey& key) {
  const SharedObject* known = find_known(key);
  if (known != nullptr && known->state() == CacheState::done) return true;
  const auto place = seat_.find_stale(key, now_ms());
  if (place) seat_.drop(*place);
  return place.has_value();
}

Cache::Joined Cache::add_leased(const CacheKey& key, const CacheSeat::Object& place,
                                SharedObject::Reader& reader) {
  leased_.push_front(std::make_unique<SharedObject>(seat_, key, place));
  SharedObject& object = *leased_.front();
  object.self = leased_.begin();
  list(object);
  object.add(reader);
  return {&object, nullptr, object.state()};
}

SharedObject* Cache::find_known(const CacheKey& key) const {
  const auto found = by_key_.find(key.words[1]);
  if (found == by_key_.end()) return nullptr;
  const auto object = std::find_if(found->second.begin(), found->second.end(),
                                   [&](const SharedObject* each) { return each->key() == key; });
  return object == found->second.end() ? nullptr : *object;
}

// Null if a new request cannot use it.
SharedObject* Cache::use_known(SharedObject* known, int64_t now_ms) {
  if (known == nullptr || !known->may_join(now_ms)) return nullptr;
  known->note_use(now_ms);
  if (known->is_owned()) owned_.splice(owned_.begin(), owned_, known->self);
  return known;
}

OwnedObject::Previous Cache::take_previous(SharedObject* known, const CacheKey& key,
                                           int64_t now_ms) {
  OwnedObject::Previous out;
  out.playlist = seat_.last_playlist(key);
  if (known != nullptr && known->state() == CacheState::done) {
    const StoredPlaylist own = known->playlist();
    if (own.edge > 0 && (!out.playlist || own.stored_ms > out.playlist->stored_ms)) {
      out.playlist = own;
    }
  }
  out.basis = take_basis(known, key, now_ms);
  return out;
}

// A stale answer that a new request for it may refer to: `known`, or one of another worker. It is
// not given to new requests any more.
SharedObject* Cache::take_basis(SharedObject* known, const CacheKey& key, int64_t now_ms) {
  const auto mark = useless_.find(key.words[1], now_ms);
  const bool may_have_one = !mark || mark->age >= kUnshareableFor;
  SharedObject* basis = known;
  if (basis == nullptr && may_have_one) {
    const auto place = seat_.find_stale(key, now_ms);
    if (!place) return nullptr;
    leased_.push_front(std::make_unique<SharedObject>(seat_, key, *place));
    basis = leased_.front().get();
    basis->self = leased_.begin();
  }
  if (basis == nullptr) return nullptr;
  const bool is_whole = basis->state() == CacheState::done && basis->filled() == basis->length();
  const auto head = is_whole && may_have_one ? basis->head() : nullptr;
  if (head == nullptr || conditions_for(*head).empty()) {
    retire(*basis);
    return nullptr;
  }
  unlist(*basis);
  return basis;
}

void Cache::begin(const Joined& joined) {
  if (joined.begun != nullptr) return joined.begun->start();
  if (!joined.object->is_owned()) watch(*joined.object);
}

void Cache::leave(SharedObject& object, SharedObject::Reader& reader) {
  object.remove(reader);
  if (object.has_readers()) return;
  if (!object.is_owned()) {
    if (object.is_under_way()) unlist(object);
    drop_if_unused(object);
    return;
  }
  auto& owned = static_cast<OwnedObject&>(object);
  if (!owned.is_fetching() || seat_.is_leased(object.place()) || may_linger(owned)) return;
  owned.cancel();
  retire(object);
}

bool Cache::is_needed() const {
  return std::any_of(owned_.begin(), owned_.end(), [this](const auto& object) {
    return object->is_under_way() && seat_.is_leased(object->place());
  });
}

// --- the lists ---

void Cache::list(SharedObject& object) {
  object.used_ms = now_ms();
  object.is_listed = true;
  by_key_[object.key().words[1]].push_back(&object);
}

void Cache::unlist(SharedObject& object) {
  if (!object.is_listed) return;
  object.is_listed = false;
  const auto found = by_key_.find(object.key().words[1]);
  std::erase(found->second, &object);
  if (found->second.empty()) by_key_.erase(found);
}

// New requests do not find the object any more; its readers continue.
void Cache::retire(SharedObject& object) {
  unlist(object);
  if (!object.is_owned()) {
    drop_if_unused(object);
    return;
  }
  auto& owned = static_cast<OwnedObject&>(object);
  const CacheState state = object.state();
  if (state == CacheState::done || (object.is_under_way() && !owned.is_fetching())) {
    seat_.retire(object.place());
    seat_.notify(object.place());
  }
  end_if_unused(owned);
  seat_.wake_noted();
}

// Ends an unlisted own object that nobody reads. A failed one keeps its state while it is leased.
bool Cache::end_if_unused(OwnedObject& object) {
  if (object.has_readers() || object.is_fetching()) return false;
  if (object.state() == CacheState::failed) {
    if (seat_.is_leased(object.place())) return false;
    seat_.retire(object.place());
  }
  if (object.state() != CacheState::retired || !seat_.try_free(object.place())) return false;
  object.release_region();
  environment_.reaper.retire(take(object));
  return true;
}

bool Cache::drop_if_unused(SharedObject& object) {
  if (object.has_readers() || object.is_listed) return false;
  seat_.drop(object.place());
  environment_.reaper.retire(take(object));
  return true;
}

std::unique_ptr<SharedObject> Cache::take(SharedObject& object) {
  Objects& objects = object.is_owned() ? owned_ : leased_;
  std::unique_ptr<SharedObject> out = std::move(*object.self);
  objects.erase(object.self);
  object.is_ended = true;
  live_clock_.remove(object);
  if (std::exchange(object.is_queued, false)) std::erase(queued_, &object);
  return out;
}

// --- what an own object reports ---

void Cache::on_changed(OwnedObject& object) {
  seat_.notify(object.place());
  seat_.wake_noted();
  notify(object);
}

void Cache::on_fetched(OwnedObject& object) {
  if (!is_kept(object, now_ms())) retire(object);
}

// Whether requests may find the object: it is fresh, or the upstream may confirm it later.
bool Cache::is_kept(const OwnedObject& object, int64_t now_ms) const {
  if (!object.is_listed) return false;
  if (object.may_join(now_ms)) return true;
  if (object.state() != CacheState::done) return false;
  const auto kept_for = object.may_be_validated()   ? kStaleFor
                        : object.is_live_playlist() ? kPlaylistFor
                                                    : std::chrono::milliseconds(0);
  return now_ms < object.fresh_until_ms() + kept_for.count();
}

void Cache::on_basis_useless(OwnedObject& object) {
  useless_.put(object.key().words[1], 1, now_ms());
  retire(object);
  seat_.wake_noted();
  notify(object);
}

void Cache::leave_basis(SharedObject& basis, SharedObject::Reader& reader) {
  basis.remove(reader);
  retire(basis);
}

void Cache::on_unshareable(OwnedObject& object) {
  if (!object.lacks_room()) unshareable_.put(object.key().words[1], 1, now_ms());
  unlist(object);
  std::unique_ptr<SharedObject> taken = take(object);
  std::unique_ptr<OwnedObject> answer(static_cast<OwnedObject*>(taken.release()));
  seat_.abandon(object.place());
  seat_.wake_noted();
  SharedObject::Reader* const first = object.take_first_reader();
  std::vector<SharedObject::Reader*> others;
  while (SharedObject::Reader* reader = object.take_first_reader()) others.push_back(reader);
  if (first == nullptr) {
    object.cancel();
    return environment_.reaper.retire(std::move(answer));
  }
  first->on_unshared(std::move(answer));
  for (SharedObject::Reader* reader : others) reader->on_unshared(nullptr);
}

bool Cache::may_ignore_no_store(const HttpUrl& url) const {
  const auto& hosts = environment_.config.ignore_no_store;
  if (hosts.empty()) return false;
  const auto literal = IpAddress::parse(url.host);
  return std::any_of(hosts.begin(), hosts.end(), [&](const TargetPattern& pattern) {
    return pattern.matches_host(url.host, url.port) ||
           (literal && pattern.matches_address(*literal, url.port));
  });
}

bool Cache::claims_document(const ResponseHead& head, std::string_view path) const {
  return environment_.claims_document(field_or_empty(head.fields, "Content-Type"), path);
}

// --- from time to time ---

void Cache::on_tick() {
  tick_.arm(kTick);
  const int64_t now = now_ms();
  seat_.free_abandoned();
  give_up_lingering();
  for (SharedObject* each : snapshot(owned_)) {
    auto& object = static_cast<OwnedObject&>(*each);
    if (object.is_ended) continue;
    const bool is_over = is_unused(object, now);
    if (is_over) object.cancel();
    if (is_over || (object.is_listed && !is_kept(object, now))) {
      retire(object);
    } else if (!object.is_listed) {
      end_if_unused(object);
    }
  }
  awaits_leases_ = false;
  look_at_leased();
  purges_.look();
  make_room();
  if (++ticks_ % kTicksOfTrim == 0) regions_.trim();
  environment_.slot.cache_bytes_held.store(regions_.held(), std::memory_order_relaxed);
  environment_.slot.cache_leases_now.store(leased_.size(), std::memory_order_relaxed);
  seat_.wake_noted();
}

// --- memory ---

// Another worker finds no room, and this one has more than its share, or drains.
void Cache::make_room() {
  seat_.own().wanted_bytes.store(0, std::memory_order_relaxed);
  if (seat_.wanted_by_others() == 0) return;
  uint64_t share = environment_.config.memory / std::max<size_t>(1, seat_.live_columns());
  const bool is_draining = environment_.slot.state.load() == WorkerState::draining;
  if (is_draining) share = std::min(share, std::max(regions_.held(), kMaxEvicted) - kMaxEvicted);
  // Recycled pages count as held until they are returned.
  regions_.shrink_to(share);
  if (regions_.held() > share) evict(regions_.held() - share, 0);
  regions_.shrink_to(share);
}

void Cache::make_rows() {
  awaits_leases_ ? free_retired() : evict(0, kRowsToFree);
  if (seat_.free_rows() == 0) awaits_leases_ = true;
}

// Whether `bytes` would fit if everything that may be evicted were evicted.
bool Cache::can_make_room(uint64_t bytes) const {
  const uint64_t needed = seat_.held_by_all() + bytes;
  uint64_t room = regions_.limit();
  for (auto each = owned_.rbegin(); room < needed && each != owned_.rend(); ++each) {
    const auto& object = static_cast<const OwnedObject&>(**each);
    if (!object.is_fetching()) room += object.held_bytes();
  }
  return room >= needed;
}

// Frees the retired objects that other processes have dropped in the meantime.
void Cache::free_retired() {
  for (SharedObject* each : snapshot(owned_)) {
    auto& object = static_cast<OwnedObject&>(*each);
    if (!object.is_ended && !object.is_listed) end_if_unused(object);
  }
}

// Retires finished objects, the least recently used first, until `bytes` and `objects` are reached
// or none is left.
void Cache::evict(uint64_t bytes, size_t objects) {
  uint64_t evicted_bytes = 0;
  size_t evicted = 0;
  size_t moves_left = owned_.size();  // the other processes go on using them
  auto kept = owned_.end();           // this one and those behind it cannot be evicted
  while (kept != owned_.begin() && (evicted_bytes < bytes || evicted < objects)) {
    const auto oldest = std::prev(kept);
    auto& object = static_cast<OwnedObject&>(**oldest);
    if (!object.is_listed || object.state() != CacheState::done) {
      kept = oldest;
      continue;
    }
    const int64_t used_by_others = seat_.last_use_by_others(object.place());
    if (used_by_others > object.used_ms && moves_left > 0) {
      --moves_left;
      object.used_ms = used_by_others;
      move_up(oldest);
      continue;
    }
    evicted_bytes += object.held_bytes();
    ++evicted;
    count(environment_.slot.counters, Counter::cache_evictions);
    retire(object);
  }
  seat_.wake_noted();
}

// Keeps owned_ in the order of use. An object that would pass more than kMaxStepsUp others
// goes to the front: the search for its place has a limit.
void Cache::move_up(Objects::iterator object) {
  auto place = object;
  for (unsigned steps = 0;
       place != owned_.begin() && (*std::prev(place))->used_ms < (*object)->used_ms; --place) {
    if (++steps > kMaxStepsUp) {
      place = owned_.begin();
      break;
    }
  }
  owned_.splice(place, owned_, object);
}

std::optional<RegionStore::Region> Cache::take_region(uint64_t bytes) {
  if (bytes > environment_.config.memory) return std::nullopt;
  if (auto region = regions_.take(bytes)) return region;
  // Nothing is evicted if that would not make enough room.
  const bool may_evict = !awaits_leases_ && can_make_room(bytes);
  if (may_evict) {
    // Makes room for several answers at once.
    const uint64_t share = std::min(environment_.config.memory / kShareToEvict, kMaxEvicted);
    evict(std::max(2 * bytes, share), 0);
  } else if (awaits_leases_) {
    free_retired();
  }
  auto region = regions_.take(bytes);
  if (region) return region;
  awaits_leases_ = awaits_leases_ || may_evict;
  seat_.own().wanted_bytes.store(bytes, std::memory_order_relaxed);
  return std::nullopt;
}

}  // namespace streamgate
