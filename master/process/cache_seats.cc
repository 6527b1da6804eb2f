#include "master/process/cache_seats.h"

#include <algorithm>
#include <utility>

namespace streamgate {
namespace {

// Two generations, their respawned workers, and the mourning columns.
size_t columns_for(size_t workers) { return std::min(4 * workers + 8, kMaxCacheColumns); }
size_t least_columns(size_t workers) { return std::min(2 * workers + 2, kMaxCacheColumns); }

}  // namespace

CacheSeats::CacheSeats(std::shared_ptr<CacheDirectory> directory,
                       std::map<pid_t, CacheSeatGrant> seats)
    : directory_(std::move(directory)), seats_(std::move(seats)) {}

Result<std::optional<CacheSeatGrant>> CacheSeats::take(size_t workers) {
  if (directory_ == nullptr || directory_->column_count() < least_columns(workers)) {
    auto made = CacheDirectory::create(columns_for(workers));
    if (!made) return made.error();
    directory_ = std::make_shared<CacheDirectory>(*std::move(made));
  }
  const auto column = directory_->take();
  if (!column) return std::optional<CacheSeatGrant>();
  return std::optional<CacheSeatGrant>({directory_, *column});
}

void CacheSeats::seat(pid_t pid, CacheSeatGrant grant) {
  seats_.insert_or_assign(pid, std::move(grant));
}

void CacheSeats::give_back(const CacheSeatGrant& grant) { grant.directory->bury(grant.column); }

void CacheSeats::release(pid_t pid) {
  const auto found = seats_.find(pid);
  if (found == seats_.end()) return;
  const CacheSeatGrant grant = std::move(found->second);
  seats_.erase(found);
  give_back(grant);
}

void CacheSeats::sweep() {
  if (directory_ != nullptr && directory_->is_mourning()) directory_->sweep();
  for (const auto& [pid, grant] : seats_) {
    if (grant.directory != directory_ && grant.directory->is_mourning()) grant.directory->sweep();
  }
}

std::optional<unsigned> CacheSeats::column_of(pid_t pid) const {
  const auto found = seats_.find(pid);
  if (found == seats_.end() || found->second.directory != directory_) return std::nullopt;
  return found->second.column;
}

}  // namespace streamgate
