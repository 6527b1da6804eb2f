#include "worker/cache/seat.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

// A bucket that changes so often is not worth more attempts: the request gets a fetch of its own.
constexpr int kMaxAttempts = 16;

void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

bool has_key(const CacheRow& row, const CacheKey& key) {
  for (size_t i = 0; i < key.words.size(); ++i) {
    if (row.key[i].load(kRelaxed) != key.words[i]) return false;
  }
  return true;
}

bool is_closed(const CacheRow& row) { return (row.flags.load(kRelaxed) & kCacheClosed) != 0; }

// Whether a new request may use an object with that tag.
bool may_join(const CacheRow& row, uint64_t tag, int64_t now_ms) {
  const CacheState state = state_of(tag);
  if (is_closed(row)) return false;
  if (state == CacheState::done) return now_ms < row.fresh_until_ms.load(kRelaxed);
  return state == CacheState::claim || state == CacheState::growing;
}

}  // namespace

StoredPlaylist playlist_of(const CacheRow& row) {
  return {row.stored_ms.load(kRelaxed), row.fresh_until_ms.load(kRelaxed), row.edge.load(kRelaxed)};
}

CacheSeat::CacheSeat(CacheDirectory& directory, unsigned column)
    : directory_(directory),
      column_(column),
      next_serial_(directory.head().seats[column].incarnation.load() << kSerialBits),
      mapped_(directory.column_count(), nullptr) {
  for (uint32_t row = 0; row < kCacheRows; ++row) free_rows_.push(row);
  mapped_[column] = directory.own_bodies();
}

CacheSeat::~CacheSeat() {
  for (size_t i = 0; i < mapped_.size(); ++i) {
    if (i != column_ && mapped_[i] != nullptr) {
      ::munmap(const_cast<char*>(mapped_[i]), kCacheBodyBytes);
    }
  }
}

void CacheSeat::drain_waker() const {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(waker(), &count, sizeof count);
}

// --- to find and to claim ---

std::optional<CacheSeat::Object> CacheSeat::find_or_claim(const CacheKey& key, int64_t now_ms) {
  std::atomic<uint64_t>& version = directory_.versions().of_bucket[key.bucket()];
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    uint64_t seen = version.load();
    if (auto found = find(key, now_ms)) return found;
    auto claimed = claim(key);
    if (!claimed) return std::nullopt;
    if (version.compare_exchange_strong(seen, seen + 1)) return claimed;
    // Another process has claimed a key of this bucket at the same time. Processes that have leased
    // this claim already search again.
    abandon(*claimed);
  }
  return std::nullopt;
}

void CacheSeat::free_abandoned() {
  std::erase_if(abandoned_, [this](const Object& object) { return try_free(object); });
}

// Visits the rows of other processes in the bucket until visit() returns true.
template <class Visit>
void CacheSeat::for_each_row(const CacheKey& key, Visit visit) const {
  for (unsigned owner = 0; owner < directory_.column_count(); ++owner) {
    if (owner == column_ || !directory_.is_live(owner)) continue;
    const CacheColumn& column = std::as_const(directory_).column(owner);
    for (const std::atomic<uint16_t>& way : column.index[key.bucket()]) {
      const uint32_t number = way.load(kAcquire);
      if (number == 0 || number > kCacheRows) continue;
      const CacheRow& row = column.rows[number - 1];
      const uint64_t tag = row.tag.load(kAcquire);
      if (has_key(row, key) && visit(Object{owner, number - 1, serial_of(tag)}, row, tag)) return;
    }
  }
}

std::optional<CacheSeat::Object> CacheSeat::find(const CacheKey& key, int64_t now_ms) {
  const auto may_use = [now_ms](const CacheRow& row, uint64_t tag) {
    return may_join(row, tag, now_ms);
  };
  std::optional<Object> found;
  for_each_row(key, [&](const Object& object, const CacheRow& row, uint64_t tag) {
    if (may_use(row, tag) && take_lease(object, key, now_ms, may_use)) found = object;
    return found.has_value();
  });
  return found;
}

std::optional<CacheSeat::Object> CacheSeat::find_stale(const CacheKey& key, int64_t now_ms) {
  const auto may_use = [](const CacheRow& row, uint64_t tag) {
    return streamgate::state_of(tag) == CacheState::done && !is_closed(row);
  };
  std::optional<Object> newest;
  int64_t stored_ms = 0;
  for_each_row(key, [&](const Object& object, const CacheRow& row, uint64_t tag) {
    const int64_t stored = row.stored_ms.load(kRelaxed);
    if (may_use(row, tag) && (!newest || stored > stored_ms)) {
      newest = object;
      stored_ms = stored;
    }
    return false;
  });
  if (newest && !take_lease(*newest, key, now_ms, may_use)) newest.reset();
  return newest;
}

std::optional<StoredPlaylist> CacheSeat::last_playlist(const CacheKey& key) const {
  std::optional<StoredPlaylist> newest;
  for_each_row(key, [&newest](const Object&, const CacheRow& row, uint64_t tag) {
    if (streamgate::state_of(tag) != CacheState::done) return false;
    const StoredPlaylist found = playlist_of(row);
    if (found.edge > 0 && (!newest || found.stored_ms > newest->stored_ms)) newest = found;
    return false;
  });
  return newest;
}

template <class May>
bool CacheSeat::take_lease(const Object& object, const CacheKey& key, int64_t now_ms, May may_use) {
  CacheLease& lease = lease_of(object);
  // This process has leased the object already, and the caller has decided not to use it.
  if (lease.word.load(kRelaxed) >> 1U == object.serial) return false;
  lease.used_ms.store(now_ms, kRelaxed);
  lease.position.store(0, kRelaxed);
  lease.word.store(object.serial << 1U, kRelease);
  fence();
  const CacheRow& row = row_of(object);
  const uint64_t again = row.tag.load(kAcquire);
  if (serial_of(again) == object.serial && may_use(row, again) && has_key(row, key)) return true;
  lease.word.store(0, kRelease);
  return false;
}

std::optional<CacheSeat::Object> CacheSeat::claim(const CacheKey& key) {
  if (free_rows_.empty()) return std::nullopt;
  if ((next_serial_ + 1) >> kSerialBits != next_serial_ >> kSerialBits) return std::nullopt;
  const Object object{column_, free_rows_.top(), next_serial_ + 1};
  if (!add_to_index(key, object.row)) return std::nullopt;
  free_rows_.pop();
  ++next_serial_;
  CacheRow& row = own_row(object);
  for (size_t i = 0; i < key.words.size(); ++i) row.key[i].store(key.words[i], kRelaxed);
  row.filled.store(0, kRelaxed);
  row.window.store(0, kRelaxed);
  row.begin.store(0, kRelaxed);
  row.edge.store(0, kRelaxed);
  row.length.store(kUnknownLength, kRelaxed);
  row.head_size.store(0, kRelaxed);
  row.reason.store(0, kRelaxed);
  row.flags.store(0, kRelaxed);
  row.tag.store(make_tag(object.serial, CacheState::claim), kRelease);
  return object;
}

// Called before the row has its tag: until then other processes see a free row.
bool CacheSeat::add_to_index(const CacheKey& key, uint32_t row) {
  for (std::atomic<uint16_t>& way : own().index[key.bucket()]) {
    if (way.load(kRelaxed) != 0) continue;
    way.store(static_cast<uint16_t>(row + 1), kRelease);
    return true;
  }
  return false;
}

void CacheSeat::remove_from_index(uint32_t row) {
  const size_t bucket = own().rows[row].key[0].load(kRelaxed) % kCacheBuckets;
  for (std::atomic<uint16_t>& way : own().index[bucket]) {
    if (way.load(kRelaxed) == row + 1) way.store(0, kRelease);
  }
}

// --- any object ---

CacheState CacheSeat::state_of(const Object& object) const {
  const uint64_t tag = row_of(object).tag.load(kAcquire);
  return serial_of(tag) == object.serial ? streamgate::state_of(tag) : CacheState::free;
}

const CacheRow& CacheSeat::row_of(const Object& object) const {
  return std::as_const(directory_).column(object.owner).rows[object.row];
}

bool CacheSeat::are_bodies_of(const Object& object, uint64_t offset, uint64_t size) {
  const uint64_t begin = CacheDirectory::body_offset(object.owner);
  return offset >= begin && size <= kCacheBodyBytes && offset - begin <= kCacheBodyBytes - size;
}

const char* CacheSeat::bytes_of(const Object& object, uint64_t offset, uint64_t size) {
  if (!are_bodies_of(object, offset, size)) return nullptr;
  const uint64_t begin = CacheDirectory::body_offset(object.owner);
  const char*& mapped = mapped_[object.owner];
  if (mapped == nullptr) {
    void* memory = ::mmap(nullptr, kCacheBodyBytes, PROT_READ, MAP_SHARED | MAP_NORESERVE,
                          directory_.files().bodies.get(), static_cast<off_t>(begin));
    if (memory == MAP_FAILED) return nullptr;
    ::madvise(memory, kCacheBodyBytes, MADV_DONTDUMP);
    ::madvise(memory, kCacheBodyBytes, MADV_NOHUGEPAGE);  // as CacheDirectory maps it
    mapped = static_cast<const char*>(memory);
  }
  return mapped + (offset - begin);
}

// --- a leased object ---

void CacheSeat::touch(const Object& object, int64_t now_ms) {
  lease_of(object).used_ms.store(now_ms, kRelaxed);
}

void CacheSeat::set_position(const Object& object, uint64_t position) {
  lease_of(object).position.store(position, kRelaxed);
}

bool CacheSeat::wait(const Object& object, CacheState state, uint64_t filled) {
  lease_of(object).word.store(object.serial << 1U | 1U, kRelease);
  fence();
  return state_of(object) == state && row_of(object).filled.load(kAcquire) == filled;
}

void CacheSeat::stop_waiting(const Object& object) {
  CacheLease& lease = lease_of(object);
  if (lease.word.load(kRelaxed) == (object.serial << 1U | 1U)) {
    lease.word.store(object.serial << 1U, kRelease);
  }
}

void CacheSeat::drop(const Object& object) {
  CacheLease& lease = lease_of(object);
  if (lease.word.load(kRelaxed) >> 1U == object.serial) lease.word.store(0, kRelease);
}

// --- an own object ---

void CacheSeat::publish(const Object& object, const Head& head) {
  CacheRow& row = own_row(object);
  row.offset.store(head.offset, kRelaxed);
  row.head_size.store(head.size, kRelaxed);
  row.length.store(head.length, kRelaxed);
  row.stored_ms.store(head.stored_ms, kRelaxed);
  row.fresh_until_ms.store(head.fresh_until_ms, kRelaxed);
}

void CacheSeat::set_filled(const Object& object, uint64_t bytes) {
  own_row(object).filled.store(bytes, kRelease);
}

void CacheSeat::set_window(const Object& object, uint64_t bytes) {
  own_row(object).window.store(bytes, kRelaxed);
}

void CacheSeat::set_begin(const Object& object, uint64_t position) {
  own_row(object).begin.store(position, kRelaxed);
}

void CacheSeat::set_length(const Object& object, uint64_t bytes) {
  own_row(object).length.store(bytes, kRelaxed);
}

uint64_t CacheSeat::first_position_of_others(const Object& object) const {
  uint64_t first = 0;
  for_each_lease(object, [&](unsigned, const CacheLease& lease, bool) {
    first = std::max(first, lease.position.load(kRelaxed));
  });
  return first;
}

void CacheSeat::set_fresh_until(const Object& object, int64_t until_ms) {
  own_row(object).fresh_until_ms.store(until_ms, kRelaxed);
}

void CacheSeat::set_edge(const Object& object, uint64_t edge) {
  own_row(object).edge.store(edge, kRelaxed);
}

void CacheSeat::set_reason(const Object& object, uint64_t reason) {
  own_row(object).reason.store(reason, kRelaxed);
}

void CacheSeat::set_state(const Object& object, CacheState state) {
  own_row(object).tag.store(make_tag(object.serial, state), kRelease);
}

void CacheSeat::set_flag(const Object& object, uint64_t flag) {
  std::atomic<uint64_t>& flags = own_row(object).flags;
  flags.store(flags.load(kRelaxed) | flag, kRelaxed);
}

void CacheSeat::close(const Object& object) {
  set_flag(object, kCacheClosed);
  remove_from_index(object.row);
}

void CacheSeat::retire(const Object& object) {
  remove_from_index(object.row);
  set_state(object, CacheState::retired);
}

void CacheSeat::abandon(const Object& object) {
  retire(object);
  if (!try_free(object)) abandoned_.push_back(object);
}

bool CacheSeat::try_free(const Object& object) {
  CHECK(state_of(object) == CacheState::retired);
  fence();
  bool is_used = false;
  for_each_lease(object, [&](unsigned reader, const CacheLease&, bool) {
    is_used = true;
    noted_.set(reader);
  });
  if (is_used) return false;
  set_state(object, CacheState::free);
  free_rows_.push(object.row);
  return true;
}

template <class Visit>
void CacheSeat::for_each_lease(const Object& object, Visit visit) const {
  for (unsigned reader = 0; reader < directory_.column_count(); ++reader) {
    if (reader == column_ || !directory_.is_live(reader)) continue;
    const CacheLease& lease = directory_.leases(reader, column_).of_row[object.row];
    const uint64_t word = lease.word.load(kAcquire);
    if (word >> 1U == object.serial) visit(reader, lease, (word & 1U) != 0);
  }
}

int64_t CacheSeat::last_use_by_others(const Object& object) const {
  int64_t last = 0;
  for_each_lease(object, [&](unsigned, const CacheLease& lease, bool) {
    last = std::max(last, lease.used_ms.load(kRelaxed));
  });
  return last;
}

bool CacheSeat::is_leased(const Object& object) const {
  fence();
  bool is_used = false;
  for_each_lease(object, [&](unsigned, const CacheLease&, bool) { is_used = true; });
  return is_used;
}

void CacheSeat::notify(const Object& object) {
  fence();
  for_each_lease(object, [&](unsigned reader, const CacheLease&, bool waits) {
    if (waits) noted_.set(reader);
  });
}

void CacheSeat::wake_noted() {
  if (noted_.none()) return;
  for (size_t reader = 0; reader < directory_.column_count(); ++reader) {
    if (!noted_.test(reader)) continue;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written =
        ::write(directory_.files().wakers[reader].get(), &one, sizeof one);
  }
  noted_.reset();
}

void CacheSeat::note_all_others() {
  for (unsigned i = 0; i < directory_.column_count(); ++i) {
    if (i != column_ && directory_.is_live(i)) note(i);
  }
}

// --- memory ---

uint64_t CacheSeat::held_by_all() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < directory_.column_count(); ++i) {
    sum += std::as_const(directory_).column(i).held_bytes.load();
  }
  return sum;
}

uint64_t CacheSeat::wanted_by_others() const {
  uint64_t most = 0;
  for (size_t i = 0; i < directory_.column_count(); ++i) {
    if (i == column_ || !directory_.is_live(i)) continue;
    most = std::max(most, std::as_const(directory_).column(i).wanted_bytes.load(kRelaxed));
  }
  return most;
}

size_t CacheSeat::live_columns() const {
  size_t count = 0;
  for (size_t i = 0; i < directory_.column_count(); ++i) count += directory_.is_live(i) ? 1U : 0U;
  return count;
}

}  // namespace streamgate
