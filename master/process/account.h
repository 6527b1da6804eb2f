// The user that workers run as when the service was started as root.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace streamgate {

struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};  // all groups, with `gid`
};

// The account of `user`, which is a name or a user id in /etc/passwd, or `uid:gid`. None if this
// process is not root: then it cannot change its user. The files are read without the C library's
// name services: those load shared libraries, which a static program does not have.
Result<std::optional<Account>> find_account(const std::string& user);

// The same from the texts of the two files.
Result<Account> parse_account(std::string_view user, std::string_view passwd,
                              std::string_view group);

// Called in the worker process: changes to the account for good, with its supplementary groups. A
// crash can still dump core.
Result<void> become(const Account& account);

// Called in the worker process, after become(): no program that it might execute gets privileges
// from a file (setuid, capabilities).
Result<void> give_up_new_privileges();

// Called in the worker process, after become(): no core dumps, and other processes of the same user
// cannot read its memory or trace it.
Result<void> forbid_core_dumps();

}  // namespace streamgate
