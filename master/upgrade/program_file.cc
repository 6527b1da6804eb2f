#include "master/upgrade/program_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string_view>

#include "common/file.h"
#include "common/system_error.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

constexpr const char* kOwn = "/proc/self/exe";
constexpr std::string_view kMagic =
    "\x7f"
    "ELF";
constexpr std::string_view kReplaced = " (deleted)";

FileIdentity identity_of(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size,
          int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

// The file that runs, also if another one is at its path by now. Opened, because a user-mode
// emulator (qemu) translates open() of this path, but stat() would find the emulator. O_PATH needs
// no permission to read.
std::optional<FileIdentity> identify_own() {
  const UniqueFd file(::open(kOwn, O_PATH | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return std::nullopt;
  return identity_of(info);
}

// Without /proc, as in a bare root directory: the name that was executed.
ProgramFile executed_file() {
  ProgramFile out;
  char path[PATH_MAX];
  const auto* name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (!name || !::realpath(name, path)) return out;
  out.path = path;
  if (const auto identity = identify(out.path)) out.identity = *identity;
  return out;
}

}  // namespace

Result<FileIdentity> identify(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return system_error(path);
  }
  return identity_of(info);
}

bool has_replaced_library() {
  constexpr size_t kMaxBytes = size_t{4} * 1024 * 1024;
  const auto maps = read_file("/proc/self/maps", kMaxBytes);
  if (!maps) return false;
  std::string_view rest = *maps;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    // The code of a library; other deleted files are shared memory.
    const bool is_code = line.find(" r-xp ") != line.npos;
    if (is_code && line.ends_with(kReplaced) && line.find(".so") != line.npos) return true;
  }
  return false;
}

Result<void> check_is_program(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  // The file may be executable although it is not readable. Then execve() decides.
  if (!file.valid() && errno == EACCES) return {};
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    return Error{Reason::internal, std::strerror(errno)};
  }
  std::array<char, kMagic.size()> start{};
  const bool is_program = S_ISREG(info.st_mode) &&
                          ::read(file.get(), start.data(), start.size()) == std::ssize(start) &&
                          std::string_view(start.data(), start.size()) == kMagic;
  if (is_program) return {};
  return Error{Reason::internal, "is not a program (not an ELF file)"};
}

ProgramFile running_program_file() {
  ProgramFile out;
  char path[PATH_MAX];
  const ssize_t length = ::readlink(kOwn, path, sizeof path);
  if (length < 0) return executed_file();
  if (length == 0 || length == sizeof path) return out;
  out.path.assign(path, static_cast<size_t>(length));
  out.identity = identify_own();
  // The kernel appends the suffix if the file was replaced before this call. If a file with the
  // whole name exists, the suffix is part of the name.
  if (out.path.ends_with(kReplaced) && !identify(out.path)) {
    out.path.resize(out.path.size() - kReplaced.size());
  }
  return out;
}

}  // namespace streamgate
