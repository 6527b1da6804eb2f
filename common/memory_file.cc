#include "common/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace streamgate {
namespace {

// Linux 6.3; a machine may insist on it (vm.memfd_noexec). Older headers do not know it.
constexpr unsigned kNoExecSeal = 0x0008U;

Error failed(const char* what) {
  return {Reason::internal, std::string(what) + ": " + std::strerror(errno)};
}

}  // namespace

Result<UniqueFd> make_memory_file(const char* name) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC | kNoExecSeal));
  if (!file.valid() && errno == EINVAL) file.reset(::memfd_create(name, MFD_CLOEXEC));
  if (!file.valid()) return failed("memfd_create");
  return file;
}

Result<UniqueFd> make_memory_file(const char* name, std::string_view text) {
  auto file = make_memory_file(name);
  if (!file) return file;
  while (!text.empty()) {
    const ssize_t written = ::write(file->get(), text.data(), text.size());
    if (written < 0) return failed("cannot write a memory file");
    text.remove_prefix(static_cast<size_t>(written));
  }
  return file;
}

Result<std::string> read_memory_file(int file, size_t most_bytes) {
  struct stat info {};
  if (::fstat(file, &info) != 0) return failed("cannot read a memory file");
  if (!S_ISREG(info.st_mode) || std::cmp_greater(info.st_size, most_bytes)) {
    return Error{Reason::internal, "is not a memory file of a bearable size"};
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got =
        ::pread(file, text.data() + have, text.size() - have, static_cast<off_t>(have));
    if (got < 0) return failed("cannot read a memory file");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(have);
  return text;
}

}  // namespace streamgate
