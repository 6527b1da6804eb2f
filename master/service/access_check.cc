#include "master/service/access_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "master/process/acting_as.h"

namespace streamgate {
namespace {

std::string directory_of(const std::string& path) {
  return path.substr(0, std::max<size_t>(path.rfind('/'), 1));
}

// Collects the problems of one user, with the effective user of this process.
class UserCheck {
 public:
  UserCheck(std::string user, std::vector<std::string>& problems)
      : user_(std::move(user)), problems_(problems) {}

  void reads(const std::string& key, const std::string& path) {
    if (!path.empty()) expect(key, "read", path, path, R_OK);
  }

  // `path` is a log that this user creates, or that the master creates for it.
  void writes_log(const std::string& key, const std::string& path, bool is_created_for_it) {
    if (!path.starts_with('/')) return;
    struct stat info {};
    const bool exists = ::stat(path.c_str(), &info) == 0;
    // The master gives a regular file to the user of the workers.
    if (exists && !(is_created_for_it && S_ISREG(info.st_mode))) {
      expect(key, "write", path, path, W_OK);
    } else {
      creates_or_opens(key, path, is_created_for_it ? X_OK : W_OK | X_OK);
    }
  }

  void writes_file(const std::string& key, const std::string& path) {
    if (path.starts_with('/')) creates_or_opens(key, path, W_OK | X_OK);
  }

 private:
  void creates_or_opens(const std::string& key, const std::string& path, int mode) {
    expect(key, "write", path, directory_of(path), mode);
  }

  void expect(const std::string& key, const char* verb, const std::string& path,
              const std::string& tested, int mode) {
    if (::faccessat(AT_FDCWD, tested.c_str(), mode, AT_EACCESS) == 0 || errno == ENOENT) return;
    problems_.push_back(key + ": user " + user_ + " cannot " + verb + " " + path + ": " +
                        std::strerror(errno));
  }

  std::string user_;
  std::vector<std::string>& problems_;
};

void check_master(const Config& config, UserCheck check) {
  for (const ListenConfig& entry : config.listen) {
    if (!entry.tls) continue;
    check.reads("listen.tls.certificate", entry.tls->certificate);
    check.reads("listen.tls.key", entry.tls->key);
  }
  check.writes_file("pid_file", config.pid_file);
}

void check_workers(const Config& config, bool has_account, UserCheck check) {
  check.reads("upstream.tls.ca_file", config.upstream.tls.ca_file);
  for (const UpstreamHost& row : config.upstream.hosts) {
    if (row.ca_file) check.reads("upstream.hosts." + row.pattern.to_string(), *row.ca_file);
  }
  check.writes_log("log.access", config.log.access, has_account);
  check.writes_log("log.error", config.log.error, has_account);
}

}  // namespace

std::vector<std::string> access_problems(const Config& config,
                                         const std::optional<Account>& account) {
  std::vector<std::string> problems;
  const std::string own = own_user_name();
  check_master(config, UserCheck(own, problems));
  const ActingAs acting(account);
  check_workers(config, account.has_value(), UserCheck(account ? account->name : own, problems));
  return problems;
}

}  // namespace streamgate
