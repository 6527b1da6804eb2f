#include "common/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "common/system_error.h"

namespace streamgate {
namespace {

// MFD_NOEXEC_SEAL: since Linux 6.3, and not in older headers. vm.memfd_noexec may require it.
constexpr unsigned kNoExecSeal = 0x0008U;

}  // namespace

Result<UniqueFd> make_memory_file(const char* name) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC | kNoExecSeal));
  if (!file.valid() && errno == EINVAL) file.reset(::memfd_create(name, MFD_CLOEXEC));
  if (!file.valid()) return system_error("memfd_create");
  return file;
}

Result<UniqueFd> make_memory_file(const char* name, std::string_view text) {
  auto file = make_memory_file(name);
  if (!file) return file;
  while (!text.empty()) {
    const ssize_t written = ::write(file->get(), text.data(), text.size());
    if (written < 0) return system_error("cannot write a memory file");
    text.remove_prefix(static_cast<size_t>(written));
  }
  return file;
}

}  // namespace streamgate
