#include "common/cache_directory.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/memory_file.h"
#include "common/shared_pages.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

// Only root and the master's user may open the files again, and only to read them.
constexpr mode_t kFileMode = 0400;

Error cannot_map() { return system_error("cannot map the cache directory"); }

Result<UniqueFd> make_file(const char* name, uint64_t size) {
  auto file = make_memory_file(name);
  if (!file) return file;
  if (::ftruncate(file->get(), static_cast<off_t>(size)) != 0 ||
      ::fchmod(file->get(), kFileMode) != 0) {
    return cannot_map();
  }
  return file;
}

// Maps a part of a file, at `start` if it is not null. Null on failure. Core dumps leave it out: a
// dump would allocate pages that are not in use.
char* map(char* start, size_t size, int protection, int file, uint64_t offset) {
  int flags = MAP_SHARED | MAP_NORESERVE;
  if (start != nullptr) flags |= MAP_FIXED;
  void* mapped = ::mmap(start, size, protection, flags, file, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return nullptr;
  ::madvise(mapped, size, MADV_DONTDUMP);
  // A hole in a huge page does not free it but fills a part of it with zeros, and a socket may
  // still be sending that part.
  ::madvise(mapped, size, MADV_NOHUGEPAGE);
  return static_cast<char*>(mapped);
}

// A second descriptor, which can only read. Without /proc, as in a bare root directory: a duplicate
// of the first one.
Result<UniqueFd> open_read_only(int file) {
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  UniqueFd opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.valid() && errno == ENOENT) opened.reset(::fcntl(file, F_DUPFD_CLOEXEC, 0));
  if (!opened.valid()) return system_error("cannot open the cache directory to read it: " + path);
  return opened;
}

void wake(int waker) {
  const uint64_t one = 1;
  // EAGAIN: it is awake already.
  [[maybe_unused]] const ssize_t written = ::write(waker, &one, sizeof one);
}

}  // namespace

Result<CacheDirectory> CacheDirectory::create(size_t columns) {
  CHECK(columns >= 2 && columns <= kMaxCacheColumns);
  auto directory = make_file("streamgate-cache-directory", cache_directory_size(columns));
  if (!directory) return directory.error();
  auto bodies = make_file("streamgate-cache-bodies", columns * kCacheBodyBytes);
  if (!bodies) return bodies.error();
  Files files{*std::move(directory), *std::move(bodies), {}};
  for (size_t i = 0; i < columns; ++i) {
    files.wakers.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!files.wakers.back().valid()) return system_error("eventfd");
  }
  return adopt(std::move(files));
}

Result<CacheDirectory> CacheDirectory::adopt(Files files) {
  const size_t columns = files.wakers.size();
  if (columns < 2 || columns > kMaxCacheColumns) {
    return Error{Reason::internal, "the cache directory has an impossible number of columns"};
  }
  const size_t size = cache_directory_size(columns);
  struct stat directory {};
  struct stat bodies {};
  if (::fstat(files.directory.get(), &directory) != 0 ||
      ::fstat(files.bodies.get(), &bodies) != 0) {
    return cannot_map();
  }
  if (std::cmp_less(directory.st_size, size) ||
      std::cmp_less(bodies.st_size, columns * kCacheBodyBytes)) {
    return Error{Reason::internal, "the cache directory is smaller than its columns"};
  }
  char* memory = reserve_addresses(size, kCachePage);
  if (memory == nullptr) return cannot_map();
  if (map(memory, size, PROT_READ | PROT_WRITE, files.directory.get(), 0) == nullptr) {
    const Error error = cannot_map();
    ::munmap(memory, size);
    return error;
  }
  return CacheDirectory(std::move(files), memory);
}

CacheDirectory::CacheDirectory(Files files, char* memory)
    : files_(std::move(files)),
      memory_(memory),
      head_(reinterpret_cast<CacheHead*>(memory)),
      versions_(reinterpret_cast<CacheVersions*>(memory + sizeof(CacheHead))) {}

CacheDirectory::CacheDirectory(CacheDirectory&& other) noexcept
    : files_(std::exchange(other.files_, {})),
      memory_(std::exchange(other.memory_, nullptr)),
      head_(std::exchange(other.head_, nullptr)),
      versions_(std::exchange(other.versions_, nullptr)),
      own_bodies_(std::exchange(other.own_bodies_, nullptr)) {}

CacheDirectory::~CacheDirectory() {
  if (memory_ != nullptr) ::munmap(memory_, cache_directory_size(column_count()));
  if (own_bodies_ != nullptr) ::munmap(own_bodies_, kCacheBodyBytes);
}

std::optional<unsigned> CacheDirectory::take() {
  const uint64_t incarnation = head_->last_incarnation.load() + 1;
  if (incarnation > kMaxIncarnation) return std::nullopt;
  for (unsigned i = 0; i < column_count(); ++i) {
    CacheSeatRecord& seat = head_->seats[i];
    if (seat.state.load() != ColumnState::free) continue;
    head_->last_incarnation = incarnation;
    seat.incarnation = incarnation;
    seat.state = ColumnState::live;
    return i;
  }
  return std::nullopt;
}

void CacheDirectory::bury(unsigned index) {
  CHECK(index < column_count() && is_live(index));
  head_->seats[index].state = ColumnState::mourning;
  for (CacheRow& row : column(index).rows) {
    const uint64_t tag = row.tag.load();
    const CacheState state = state_of(tag);
    if (state == CacheState::claim || state == CacheState::growing) {
      row.tag = make_tag(serial_of(tag), CacheState::broken);
    } else if (state == CacheState::done || state == CacheState::failed) {
      row.tag = make_tag(serial_of(tag), CacheState::retired);
    }
  }
  // A dead process reads nothing.
  return_pages(&leases(index, 0), column_count() * sizeof(CacheLeases));
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (unsigned i = 0; i < column_count(); ++i) {
    if (is_live(i)) wake(files_.wakers[i].get());
  }
  sweep();
}

void CacheDirectory::sweep() {
  for (unsigned i = 0; i < column_count(); ++i) {
    if (head_->seats[i].state.load() == ColumnState::mourning && !has_lease(i)) clear(i);
  }
}

bool CacheDirectory::is_mourning() const {
  return std::any_of(head_->seats.begin(), head_->seats.end(), [](const CacheSeatRecord& seat) {
    return seat.state.load() == ColumnState::mourning;
  });
}

// Whether a living process has a lease on an object of the column. The tags have been changed, with
// a fence, before: a lease that this does not see finds the changed tag.
bool CacheDirectory::has_lease(unsigned index) const {
  auto& self = const_cast<CacheDirectory&>(*this);
  const CacheColumn& owner = column(index);
  for (size_t reader = 0; reader < column_count(); ++reader) {
    if (!is_live(reader)) continue;
    const CacheLeases& leases = self.leases(reader, index);
    for (size_t row = 0; row < kCacheRows; ++row) {
      const uint64_t tag = owner.rows[row].tag.load();
      if (serial_of(tag) != 0 && leases.of_row[row].word.load() >> 1U == serial_of(tag)) {
        return true;
      }
    }
  }
  return false;
}

void CacheDirectory::clear(unsigned index) {
  constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  // Sockets may still have these pages: the next process of the column must get new ones.
  if (::fallocate(files_.bodies.get(), kPunch, static_cast<off_t>(body_offset(index)),
                  static_cast<off_t>(kCacheBodyBytes)) != 0) {
    return;
  }
  return_pages(start_of(index), cache_column_size(column_count()));
  // An eventfd that nobody reads stays awake for its next process.
  head_->seats[index].state = ColumnState::free;
}

Result<void> CacheDirectory::confine(unsigned index) {
  CHECK(index < column_count());
  auto directory = open_read_only(files_.directory.get());
  if (!directory) return directory.error();
  auto bodies = open_read_only(files_.bodies.get());
  if (!bodies) return bodies.error();
  const size_t own = static_cast<size_t>(start_of(index) - memory_);
  const size_t next = own + cache_column_size(column_count());
  const size_t end = cache_directory_size(column_count());
  const int source = directory->get();
  own_bodies_ = map(nullptr, kCacheBodyBytes, PROT_READ | PROT_WRITE, files_.bodies.get(),
                    body_offset(index));
  if (own_bodies_ == nullptr || !map(memory_, sizeof(CacheHead), PROT_READ, source, 0) ||
      (own > kCacheColumnsOffset && !map(memory_ + kCacheColumnsOffset, own - kCacheColumnsOffset,
                                         PROT_READ, source, kCacheColumnsOffset)) ||
      (end > next && !map(memory_ + next, end - next, PROT_READ, source, next))) {
    return cannot_map();
  }
  files_.directory.reset();
  files_.bodies = *std::move(bodies);
  return {};
}

}  // namespace streamgate
