#include "master/process/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "common/system_error.h"

namespace streamgate {

Result<std::optional<Account>> find_account(const std::string& user) {
  if (::geteuid() != 0) return std::optional<Account>();
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  const int error = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (!found) {
    const std::string why = error == 0 ? "there is no such user" : std::strerror(error);
    return Error{Reason::internal, "user: " + user + ": " + why};
  }
  return std::optional<Account>(Account{user, entry.pw_uid, entry.pw_gid});
}

Result<void> become(const Account& account) {
  if (account.uid == 0) return {};
  if (::initgroups(account.name.c_str(), account.gid) != 0 ||
      ::setresgid(account.gid, account.gid, account.gid) != 0 ||
      ::setresuid(account.uid, account.uid, account.uid) != 0) {
    return system_error("cannot become user " + account.name);
  }
  // setresuid() clears the flag, and without it a crash dumps no core.
  ::prctl(PR_SET_DUMPABLE, 1);
  return {};
}

Result<void> give_up_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("no_new_privs");
  return {};
}

Result<void> forbid_core_dumps() {
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return system_error("PR_SET_DUMPABLE");
  // This alone prevents a dump to a core pattern that is a pipe. systemd's filter may refuse the
  // call.
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  return {};
}

}  // namespace streamgate
