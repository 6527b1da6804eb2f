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

// The account to become; none if this process is not root and so stays what it is.
Result<std::optional<Account>> find_account(const std::string& user);

// Called in the worker process: gives up root for good, supplementary groups included. A core dump
// stays possible.
Result<void> become(const Account& account);

}  // namespace streamgate
