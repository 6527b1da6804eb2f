#include "worker/upstream/hosts_file.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "common/ascii.h"
#include "common/file.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20U;
constexpr int64_t kCheckEveryMs = 1000;

std::string_view next_word(std::string_view& line) {
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// O_NONBLOCK: if the path is a FIFO, the worker must not hang.
std::string read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  auto text = read_start(fd.get(), kMaxBytes);
  return text ? *std::move(text) : std::string();
}

}  // namespace

const std::vector<IpAddress>* HostsFile::find(std::string_view name, int64_t now_ms) {
  if (now_ms >= next_check_ms_) refresh(now_ms);
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

void HostsFile::refresh(int64_t now_ms) {
  next_check_ms_ = now_ms + kCheckEveryMs;
  struct stat now {};
  if (::stat(path_.c_str(), &now) != 0) now = {};
  if (is_same_file(now, seen_)) return;
  seen_ = now;
  names_.clear();
  if (now.st_mode != 0) parse(read_file(path_));
}

void HostsFile::parse(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const auto address = IpAddress::parse(next_word(line));
    if (!address) continue;  // a comment, or a link-local address with a zone
    for (auto name = next_word(line); !name.empty(); name = next_word(line)) {
      auto& addresses = names_[ascii::lower(name)];
      if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
        addresses.push_back(*address);
      }
    }
  }
}

}  // namespace streamgate
