#include "master/process/acting_as.h"

#include <grp.h>
#include <unistd.h>

#include "common/check.h"
#include "common/file.h"

namespace streamgate {

std::string own_user_name() {
  constexpr size_t kMaxFileBytes = size_t{16} << 20;
  const std::string number = std::to_string(::geteuid());
  const auto passwd = read_file("/etc/passwd", kMaxFileBytes);
  const auto account = parse_account(number, passwd ? *passwd : "", "");
  return account ? account->name : number;
}

ActingAs::ActingAs(const std::optional<Account>& account) {
  if (!account || account->uid == 0 || ::geteuid() != 0) return;
  const int count = ::getgroups(0, nullptr);
  CHECK(count >= 0);
  groups_.resize(static_cast<size_t>(count));
  CHECK(::getgroups(count, groups_.data()) == count);
  is_acting_ = true;
  CHECK(::setgroups(account->groups.size(), account->groups.data()) == 0 &&
        ::setegid(account->gid) == 0 && ::seteuid(account->uid) == 0);
}

ActingAs::~ActingAs() {
  if (!is_acting_) return;
  CHECK(::seteuid(0) == 0 && ::setegid(::getgid()) == 0 &&
        ::setgroups(groups_.size(), groups_.data()) == 0);
}

}  // namespace streamgate
