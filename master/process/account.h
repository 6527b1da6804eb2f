// The user that workers run as when the service was started as root.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/result.h"

namespace streamgate {

struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// The account of `user`. None if this process is not root: then it cannot change its user.
Result<std::optional<Account>> find_account(const std::string& user);

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
