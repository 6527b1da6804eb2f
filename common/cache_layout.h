// The layout of the directory of shared objects: the rows, leases and version words that worker
// processes share (common/cache_directory.h has the memory, worker/cache/seat.h the protocol).
//
// A part is written by one process only: a column by the worker that has it, CacheHead by the
// master. The version words are the exception: every worker raises them by compare-and-swap. A
// worker that writes nonsense there makes others miss, nothing else.
//
// All zero is the initial state of every part, so the master can clear it by returning its pages.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace streamgate {

// A multiple of every page size of the supported machines, so that each part has pages of its own.
constexpr size_t kCachePage = size_t{64} * 1024;

constexpr size_t kMaxCacheColumns = 256;
constexpr size_t kCacheRows = 8192;     // objects of one worker
constexpr size_t kCacheBuckets = 4096;  // by key; the same in all columns
constexpr size_t kCacheWays = 8;        // rows of one column in one bucket

// The bodies of one column: an address range in the body file. Pages that are never written take no
// memory.
constexpr uint64_t kCacheBodyBytes = uint64_t{32} << 30U;

enum class CacheState : uint64_t {
  free,
  claim,    // the owner is fetching it, and no answer has come yet
  growing,  // the head and `filled` bytes of the body are there
  done,     // the whole body is there
  failed,   // the row has the reason
  broken,   // the owner died before the end
  retired,  // no lookup finds it any more; readers with a lease may read it to its end
};

// A SHA-256 digest: two requests with the same key are the same request.
struct CacheKey {
  std::array<uint64_t, 4> words{};

  bool operator==(const CacheKey&) const = default;
  size_t bucket() const { return words[0] % kCacheBuckets; }
};

// A serial is never used twice in a directory: 23 bits of the incarnation of the column, 38 bits of
// a counter. A serial of 0 does not exist.
constexpr unsigned kSerialBits = 38;
constexpr uint64_t kMaxIncarnation = (uint64_t{1} << 23U) - 1;

constexpr uint64_t make_tag(uint64_t serial, CacheState state) {
  return serial << 3U | static_cast<uint64_t>(state);
}
constexpr uint64_t serial_of(uint64_t tag) { return tag >> 3U; }
constexpr CacheState state_of(uint64_t tag) { return static_cast<CacheState>(tag & 7U); }

constexpr uint64_t kUnknownLength = UINT64_MAX;

// closed: new requests do not get it; its current readers continue.
constexpr uint64_t kCacheClosed = 1;
// lent: readers may send its pages without a copy, so a socket may still hold them after the last
// lease has ended.
constexpr uint64_t kCacheLent = 2;

// One object. The owner writes the fields first and the tag last.
struct alignas(128) CacheRow {
  std::atomic<uint64_t> tag{0};  // serial << 3 | state
  std::array<std::atomic<uint64_t>, 4> key{};
  std::atomic<uint64_t> offset{0};         // of the head in the body file; the body follows it
  std::atomic<uint64_t> head_size{0};      // bytes
  std::atomic<uint64_t> length{0};         // of the body; kUnknownLength
  std::atomic<uint64_t> filled{0};         // bytes of the body that are there
  std::atomic<int64_t> stored_ms{0};       // CLOCK_MONOTONIC: when the head came
  std::atomic<int64_t> fresh_until_ms{0};  // CLOCK_MONOTONIC: not given to new requests from then
  // Of a failed object: 1 + the Reason; 0: the text of the failure is in the place of the head.
  std::atomic<uint64_t> reason{0};
  std::atomic<uint64_t> flags{0};  // kCacheClosed, kCacheLent
  // Of an endless body (worker/cache/live_memory.h).
  std::atomic<uint64_t> window{0};  // bytes of its ring; 0: the body has an end
  std::atomic<uint64_t> begin{0};   // the first position that is still there
  // Of a live playlist (worker/cache/live_playlist.h); 0: the object is not a live playlist.
  std::atomic<uint64_t> edge{0};
};

// The lease of one reader process on one row of one owner. Written by the reader only.
struct CacheLease {
  std::atomic<uint64_t> word{0};    // serial << 1 | whether the reader waits; 0: no lease
  std::atomic<int64_t> used_ms{0};  // CLOCK_MONOTONIC: the last use
  // In an endless body: the position of the reader's fastest client. The owner reads ahead of the
  // fastest one of all readers.
  std::atomic<uint64_t> position{0};
};

// The leases of one reader on the rows of one owner.
struct alignas(kCachePage) CacheLeases {
  std::array<CacheLease, kCacheRows> of_row;
};

// The longest URL that can be purged, in bytes.
constexpr size_t kMaxPurgedUrl = size_t{16} * 1024;

// The last purge that the process of a column has ordered. Every process drops those of its own
// objects that the purge names.
struct CachePurge {
  std::atomic<uint64_t> number{0};  // of the purge, never used twice; 0: none; written last
  std::atomic<uint64_t> is_prefix{0};
  std::atomic<uint64_t> size{0};
  std::array<std::atomic<char>, kMaxPurgedUrl> url{};
};

// The answer of a process to the purges of one other column.
struct CachePurgeAnswer {
  std::atomic<uint64_t> number{0};   // of the last purge that it has carried out; written last
  std::atomic<uint64_t> dropped{0};  // objects
};

// The part of a column that does not depend on the number of columns. The leases of its process
// follow it, CacheLeases for each column of the directory.
struct alignas(kCachePage) CacheColumn {
  std::atomic<uint64_t> held_bytes{0};    // of the body file, live and recycled
  std::atomic<uint64_t> wanted_bytes{0};  // not 0: the process has no room for this many bytes
  // Row number + 1; 0: free.
  alignas(
      kCachePage) std::array<std::array<std::atomic<uint16_t>, kCacheWays>, kCacheBuckets> index;
  alignas(kCachePage) std::array<CacheRow, kCacheRows> rows;
  alignas(kCachePage) CachePurge purge;
  std::array<CachePurgeAnswer, kMaxCacheColumns> purge_answers;  // by the column that ordered
};

enum class ColumnState : uint32_t {
  free,
  live,      // a process has it
  mourning,  // its process has died, and other processes may still read its objects
};

// The state of a column, written by the master.
struct CacheSeatRecord {
  std::atomic<ColumnState> state{ColumnState::free};
  std::atomic<uint64_t> incarnation{0};  // of the process that has the column, or had it last
};

struct alignas(kCachePage) CacheHead {
  std::atomic<uint64_t> last_incarnation{0};
  std::array<CacheSeatRecord, kMaxCacheColumns> seats;
};

struct alignas(kCachePage) CacheVersions {
  std::array<std::atomic<uint64_t>, kCacheBuckets> of_bucket;
};

static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");
static_assert(sizeof(CacheRow) == 128);
static_assert(kCacheRows < UINT16_MAX);

// The size of a column with its leases, and of the whole directory, in bytes.
constexpr size_t cache_column_size(size_t columns) {
  return sizeof(CacheColumn) + columns * sizeof(CacheLeases);
}
constexpr size_t kCacheColumnsOffset = sizeof(CacheHead) + sizeof(CacheVersions);
constexpr size_t cache_directory_size(size_t columns) {
  return kCacheColumnsOffset + columns * cache_column_size(columns);
}

// Raised with every change of this file, or of the heads in the body file
// (worker/cache/stored_head.h), that another program would misread.
constexpr unsigned kCacheLayoutVersion = 7;

}  // namespace streamgate
