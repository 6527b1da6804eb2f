#include "worker/confine/path_filter.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "common/system_error.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

// The kernel's structure, up to ABI 6. The kernel accepts a shorter one.
struct Ruleset {
  uint64_t files;   // rights that the ruleset governs
  uint64_t ports;   // since ABI 4
  uint64_t scopes;  // since ABI 6
};

constexpr uint64_t kExecute = LANDLOCK_ACCESS_FS_EXECUTE;
constexpr uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kReadDirectory = LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kMakeRegular = LANDLOCK_ACCESS_FS_MAKE_REG;
// All rights of ABI 1: bits 0 to 12.
constexpr uint64_t kFirstRights = (uint64_t{1} << 13U) - 1;
constexpr uint64_t kRefer = uint64_t{1} << 13U;           // since ABI 2
constexpr uint64_t kTruncate = uint64_t{1} << 14U;        // since ABI 3
constexpr uint64_t kDevices = uint64_t{1} << 15U;         // ioctl, since ABI 5
constexpr uint64_t kBindTcp = uint64_t{1} << 0U;          // since ABI 4
constexpr uint64_t kAbstractSockets = uint64_t{1} << 0U;  // since ABI 6
constexpr uint64_t kSignals = uint64_t{1} << 1U;          // since ABI 6

// The rights that a rule for a file may have.
constexpr uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kDevices;

// 0: no Landlock.
int version() {
  const long found =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return found > 0 ? static_cast<int>(found) : 0;
}

Ruleset ruleset_of(int abi) {
  Ruleset all{kFirstRights, 0, 0};
  if (abi >= 2) all.files |= kRefer;
  if (abi >= 3) all.files |= kTruncate;
  if (abi >= 4) all.ports = kBindTcp;
  if (abi >= 5) all.files |= kDevices;
  if (abi >= 6) all.scopes = kAbstractSockets | kSignals;
  return all;
}

size_t size_of_ruleset(int abi) {
  if (abi >= 6) return sizeof(Ruleset);
  return abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

uint64_t rights_of(PathRule::Access access) {
  switch (access) {
    case PathRule::Access::read:
      return kReadFile | kReadDirectory;
    case PathRule::Access::write:
      return kReadFile | kWriteFile;
    case PathRule::Access::append:
      return kReadFile | kWriteFile | kMakeRegular;
  }
  return 0;
}

Result<void> add_rule(int ruleset, const PathRule& rule) {
  const UniqueFd place(::open(rule.path.c_str(), O_PATH | O_CLOEXEC));
  if (!place.valid()) return {};
  struct stat info {};
  if (::fstat(place.get(), &info) != 0) return system_error(rule.path);
  landlock_path_beneath_attr below{};
  below.parent_fd = place.get();
  below.allowed_access = rights_of(rule.access);
  if (!S_ISDIR(info.st_mode)) below.allowed_access &= kOfFiles;
  const long added =
      ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
  // EBADFD: a pipe or a socket, which Landlock does not govern.
  if (added != 0 && errno != EBADFD) return system_error("landlock rule for " + rule.path);
  return {};
}

}  // namespace

Result<Paths> confine_paths(const std::vector<PathRule>& rules) {
  const int abi = version();
  if (abi == 0) return Paths::not_supported;
  const Ruleset all = ruleset_of(abi);
  const UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &all, size_of_ruleset(abi), 0)));
  if (!ruleset.valid()) return system_error("landlock");
  for (const PathRule& rule : rules) {
    if (auto added = add_rule(ruleset.get(), rule); !added) return std::move(added).error();
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return system_error("landlock");
  return Paths::confined;
}

}  // namespace streamgate
