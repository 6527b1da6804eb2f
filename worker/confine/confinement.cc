#include "worker/confine/confinement.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "common/file.h"
#include "common/log.h"
#include "worker/confine/call_filter.h"

namespace streamgate {
namespace {

using Access = PathRule::Access;
using Confine = SecurityConfig::Confine;

// Sanitizers start processes and read /proc.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool kHasSanitizer = true;
#else
constexpr bool kHasSanitizer = false;
#endif
#else
constexpr bool kHasSanitizer = false;
#endif

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Without symbolic links; empty: the file does not exist.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr),
                                                          std::free);
  return found ? found.get() : std::string();
}

bool is_regular_or_missing(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode);
}

// Reads a file that may be replaced, directly or where a symbolic link leads.
void add_read(std::vector<PathRule>& rules, const std::string& path) {
  if (path.empty()) return;
  rules.push_back({folder_of(path), Access::read});
  if (const std::string real = real_path(path); !real.empty()) {
    rules.push_back({folder_of(real), Access::read});
  }
}

// A log file may be renamed and created again. A FIFO, a terminal or /dev/stderr is opened again.
void add_log(std::vector<PathRule>& rules, const std::string& where) {
  if (where == "stderr" || where == "syslog" || where == "off") return;
  if (!is_regular_or_missing(where)) return rules.push_back({where, Access::write});
  rules.push_back({folder_of(where), Access::append});
  if (const std::string real = real_path(where); !real.empty()) {
    rules.push_back({folder_of(real), Access::append});
  }
}

// The kernel writes a core dump to a file with the rights of the process.
void add_core_dump(std::vector<PathRule>& rules) {
  if (::prctl(PR_GET_DUMPABLE) == 0) return;
  const auto pattern = read_file("/proc/sys/kernel/core_pattern", 4096);
  if (!pattern || pattern->empty() || pattern->front() == '|' || pattern->front() == '@') return;
  rules.push_back({folder_of(*pattern), Access::append});
}

Result<void> missing(Confine confine, const std::string& detail) {
  if (confine == Confine::on) return Error{Reason::internal, "security.confine: " + detail};
  log::debug("worker.not_confined", {{"detail", detail}});
  return {};
}

}  // namespace

std::vector<PathRule> worker_paths(const Config& config,
                                   const std::vector<std::string>& authorities) {
  std::vector<PathRule> rules{
      // Libraries, time zones, CAs; settings of DNS. Its own user cannot read keys in /etc.
      {"/usr", Access::read},
      {"/lib", Access::read},
      {"/lib64", Access::read},
      {"/etc", Access::read},
      {"/proc/self", Access::read},
      {"/sys/devices/system/cpu", Access::read},
      {"/dev/urandom", Access::read},
      {"/dev/null", Access::write},
      // A terminal or a pipe, which the log opens again.
      {"/proc/self/fd/1", Access::write},
      {"/proc/self/fd/2", Access::write},
  };
  add_read(rules, "/etc/hosts");
  add_read(rules, "/etc/resolv.conf");
  add_read(rules, config.upstream.tls.ca_file);
  for (const UpstreamHost& row : config.upstream.hosts) {
    add_read(rules, row.ca_file.value_or(std::string()));
  }
  for (const std::string& path : authorities) {
    rules.push_back({path, Access::read});
    add_read(rules, path);
  }
  add_log(rules, config.log.error);
  add_log(rules, config.log.access);
  add_core_dump(rules);
  return rules;
}

Result<void> confine_worker(const Config& config, const std::vector<std::string>& authorities) {
  const Confine confine = config.security.confine;
  if (confine == Confine::off || (kHasSanitizer && confine == Confine::automatic)) return {};
  const auto paths = confine_paths(worker_paths(config, authorities));
  const std::string detail = !paths                           ? paths.error().detail
                             : *paths == Paths::not_supported ? "the kernel has no Landlock"
                                                              : "";
  if (!detail.empty()) {
    if (auto met = missing(confine, detail); !met) return met;
  }
  if (auto refused = refuse_calls(); !refused) return missing(confine, refused.error().detail);
  return {};
}

}  // namespace streamgate
