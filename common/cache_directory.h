// The memory of the shared objects: the directory (common/cache_layout.h), the file with the
// bodies, and one eventfd for each column. The master makes it before the first fork of a
// generation with `cache.memory`, gives each worker a column, and clears the columns of dead
// workers.
//
// A worker can write its own column, its own range of bodies, and the version words. After
// confine() all other parts are read-only for it, as in the scoreboard.
//
// The column of a dead worker is not reused at once, unlike its slot: it is `mourning` until no
// living process has a lease on its objects. Until then their bodies stay readable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/cache_layout.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

class CacheDirectory {
 public:
  // The descriptors that a program hands over to the program that replaces it. All are
  // close-on-exec.
  struct Files {
    UniqueFd directory;
    UniqueFd bodies;
    std::vector<UniqueFd> wakers;  // one for each column
  };

  // `columns`: 2 to kMaxCacheColumns.
  static Result<CacheDirectory> create(size_t columns);
  // Maps what another program with this kCacheLayoutVersion created, and changes nothing in it.
  static Result<CacheDirectory> adopt(Files files);
  CacheDirectory(CacheDirectory&& other) noexcept;
  CacheDirectory& operator=(CacheDirectory&&) = delete;
  ~CacheDirectory();

  size_t column_count() const { return files_.wakers.size(); }
  const Files& files() const { return files_; }  // without `directory` after confine()
  const CacheHead& head() const { return *head_; }
  CacheVersions& versions() { return *versions_; }
  CacheColumn& column(size_t index) { return *reinterpret_cast<CacheColumn*>(start_of(index)); }
  const CacheColumn& column(size_t index) const {
    return *reinterpret_cast<const CacheColumn*>(start_of(index));
  }
  // The leases that the process of column `reader` has on the rows of column `owner`.
  CacheLeases& leases(size_t reader, size_t owner) {
    return reinterpret_cast<CacheLeases*>(start_of(reader) + sizeof(CacheColumn))[owner];
  }
  bool is_live(size_t index) const {
    return head_->seats[index].state.load(std::memory_order_acquire) == ColumnState::live;
  }
  static uint64_t body_offset(size_t index) { return index * kCacheBodyBytes; }

  // --- in the master ---

  // Gives a free column to a process that will be forked. None if no column is free.
  std::optional<unsigned> take();
  // The process of the column is gone: its leases end, its unfinished objects are broken, and its
  // finished ones are retired. Wakes all other processes.
  void bury(unsigned index);
  // Frees the mourning columns that nobody reads any more.
  void sweep();
  bool is_mourning() const;

  // --- in a worker, while it still has the master's user ---

  // Everything but the worker's own column and the version words becomes read-only at the same
  // addresses, and the file of the directory is closed. The file of the bodies is opened again to
  // read only; the worker's own range is mapped writable and can be found by own_bodies().
  Result<void> confine(unsigned index);
  char* own_bodies() const { return own_bodies_; }

 private:
  CacheDirectory(Files files, char* memory);

  char* start_of(size_t index) const {
    return memory_ + kCacheColumnsOffset + index * cache_column_size(column_count());
  }
  bool has_lease(unsigned index) const;
  void clear(unsigned index);

  Files files_;
  char* memory_;  // owned
  CacheHead* head_;
  CacheVersions* versions_;
  char* own_bodies_ = nullptr;  // owned; null before confine()
};

}  // namespace streamgate
