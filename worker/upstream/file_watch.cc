#include "worker/upstream/file_watch.h"

#include <fcntl.h>

#include "common/file.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20U;
constexpr int64_t kCheckEveryMs = 1000;

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

bool FileWatch::check(int64_t now_ms) {
  next_check_ms_ = now_ms + kCheckEveryMs;
  struct stat now {};
  if (::stat(path_.c_str(), &now) != 0) now = {};
  if (is_same_file(now, seen_)) return false;
  seen_ = now;
  return true;
}

std::string FileWatch::read() const {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return {};
  auto text = read_start(fd.get(), kMaxBytes);
  return text ? *std::move(text) : std::string();
}

}  // namespace streamgate
