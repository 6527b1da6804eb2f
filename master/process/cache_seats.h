// The columns of the cache directory that the workers have. The directory is made before the first
// worker with `cache.memory` is forked. If a later generation has more workers than it has room
// for, that generation gets another directory, and the old one stays until its workers have left.
// Runs in the master.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>

#include "common/cache_directory.h"
#include "common/result.h"

namespace streamgate {

// The place of one worker.
struct CacheSeatGrant {
  std::shared_ptr<CacheDirectory> directory;
  unsigned column = 0;
};

class CacheSeats {
 public:
  CacheSeats() = default;
  // With the directory and the seats (by process) of the program that ran before.
  CacheSeats(std::shared_ptr<CacheDirectory> directory, std::map<pid_t, CacheSeatGrant> seats);

  // A column for a worker of a generation of that many workers. None if no column is free. An error
  // if the kernel has no memory or no descriptors for a directory.
  Result<std::optional<CacheSeatGrant>> take(size_t workers);
  // The worker with the grant runs as `pid`.
  void seat(pid_t pid, CacheSeatGrant grant);
  // The worker could not be forked.
  void give_back(const CacheSeatGrant& grant);
  // The process has ended. Does nothing for a process without a seat.
  void release(pid_t pid);
  // Frees the columns of dead workers whose objects nobody reads any more. Cheap if no worker has
  // died.
  void sweep();

  // The directory that new workers get; null before the first take().
  const std::shared_ptr<CacheDirectory>& directory() const { return directory_; }
  // The column that the process has in that directory. None if it has none there.
  std::optional<unsigned> column_of(pid_t pid) const;

 private:
  std::shared_ptr<CacheDirectory> directory_;
  std::map<pid_t, CacheSeatGrant> seats_;
};

}  // namespace streamgate
