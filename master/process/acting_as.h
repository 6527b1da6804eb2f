// File accesses with the rights of another user, for `--check`. Runs in the process of `--check`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "master/process/account.h"

namespace streamgate {

// The name of this process's effective user in /etc/passwd, or its number.
std::string own_user_name();

// While it lives, file accesses of this process are those of the account's user and groups. None:
// nothing changes. For a process with one thread.
class ActingAs {
 public:
  explicit ActingAs(const std::optional<Account>& account);
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
  ~ActingAs();

 private:
  std::vector<gid_t> groups_;
  bool is_acting_ = false;
};

}  // namespace streamgate
