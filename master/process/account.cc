#include "master/process/account.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "common/file.h"
#include "common/system_error.h"

namespace streamgate {

namespace {

constexpr const char* kUsers = "/etc/passwd";
constexpr const char* kGroups = "/etc/group";
constexpr size_t kMaxFileBytes = size_t{16} << 20;
// The last value of both types means `no change` to setresuid().
constexpr uint32_t kNoId = UINT32_MAX;

// The default user exists without a file too, as in a container. This is the kernel's number.
constexpr uint32_t kNobody = 65534;

// Cuts the text up to the next `separator`, or all of it.
std::string_view cut(std::string_view& text, char separator) {
  const size_t length = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return part;
}

std::optional<uint32_t> parse_id(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == kNoId) return {};
  return id;
}

// `name:password:id:rest`, a line of either file.
struct Line {
  std::string_view name;
  std::optional<uint32_t> id;
  std::string_view rest;
};

Line cut_line(std::string_view& text) {
  std::string_view line = cut(text, '\n');
  const std::string_view name = cut(line, ':');
  cut(line, ':');
  const auto id = parse_id(cut(line, ':'));
  return {name, id, line};
}

// A name is searched first, also one of digits (POSIX, chown).
std::optional<Account> find_user(std::string_view user, std::string_view passwd) {
  std::optional<Account> by_id;
  const auto wanted = parse_id(user);
  while (!passwd.empty()) {
    Line line = cut_line(passwd);
    const auto gid = parse_id(cut(line.rest, ':'));
    if (line.name.empty() || !line.id || !gid) continue;
    if (line.name == user) return Account{std::string(user), *line.id, *gid};
    if (!by_id && line.id == wanted) by_id = Account{std::string(line.name), *line.id, *gid};
  }
  return by_id;
}

bool has_member(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    if (cut(members, ',') == name) return true;
  }
  return false;
}

void add_groups(Account& account, std::string_view group) {
  account.groups = {account.gid};
  while (!group.empty()) {
    const Line line = cut_line(group);
    if (!line.id || line.id == account.gid || !has_member(line.rest, account.name)) continue;
    account.groups.push_back(*line.id);
  }
}

}  // namespace

Result<Account> parse_account(std::string_view user, std::string_view passwd,
                              std::string_view group) {
  if (auto found = find_user(user, passwd)) {
    add_groups(*found, group);
    return std::move(*found);
  }
  std::string_view ids = user;
  const auto uid = parse_id(cut(ids, ':'));
  const auto gid = parse_id(ids);
  if (uid && gid) return Account{std::string(user), *uid, *gid, {*gid}};
  if (user == "nobody") return Account{std::string(user), kNobody, kNobody, {kNobody}};
  return Error{Reason::internal, "user: " + std::string(user) +
                                     ": there is no such user in /etc/passwd (uid:gid needs none)"};
}

Result<std::optional<Account>> find_account(const std::string& user) {
  if (::geteuid() != 0) return std::optional<Account>();
  // A missing file is an empty one: a container may have none, and `uid:gid` needs none.
  const auto passwd = read_file(kUsers, kMaxFileBytes);
  const auto group = read_file(kGroups, kMaxFileBytes);
  auto account = parse_account(user, passwd ? *passwd : "", group ? *group : "");
  if (!account) return account.error();
  return std::optional<Account>(std::move(*account));
}

Result<void> become(const Account& account) {
  if (account.uid == 0) return {};
  if (::setgroups(account.groups.size(), account.groups.data()) != 0 ||
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
