#include "common/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "common/secret.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

Error problem(std::string text) { return {Reason::internal, std::move(text)}; }

std::string size_text(size_t bytes) {
  constexpr size_t kMiB = size_t{1024} * 1024;
  return bytes % kMiB == 0 ? std::to_string(bytes / kMiB) + "MiB"
                           : std::to_string(bytes) + " bytes";
}

// A string that grows by itself frees its old memory as it is, and the text may hold a key.
void append_leaving_no_copy(std::string& text, std::string_view piece) {
  if (text.capacity() - text.size() < piece.size()) {
    std::string larger;
    larger.reserve(2 * (text.size() + piece.size()));
    larger += text;
    wipe(text);
    text.swap(larger);
  }
  text += piece;
}

}  // namespace

// Reads in pieces. The size in stat() is 0 for files of /proc, and may change during the read.
Result<std::string> read_start(int fd, size_t max_bytes) {
  std::string text;
  std::array<char, size_t{16} * 1024> piece;
  while (text.size() < max_bytes) {
    const size_t wanted = std::min(piece.size(), max_bytes - text.size());
    const ssize_t got = ::pread(fd, piece.data(), wanted, static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return problem(std::strerror(errno));
    if (got == 0) break;
    append_leaving_no_copy(text, {piece.data(), static_cast<size_t>(got)});
  }
  ::explicit_bzero(piece.data(), std::min(piece.size(), text.size()));  // it may hold a key
  return text;
}

Result<std::string> read_file(int fd, size_t max_bytes) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return problem(std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return problem("is not a regular file");
  auto text = read_start(fd, max_bytes + 1);
  if (text && text->size() > max_bytes) return problem("is larger than " + size_text(max_bytes));
  return text;
}

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  // Without O_NONBLOCK, opening a FIFO waits for a writer.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return problem(path + ": " + std::strerror(errno));
  auto text = read_file(file.get(), max_bytes);
  if (!text) return problem(path + ": " + text.error().detail);
  return text;
}

}  // namespace streamgate
