#include "worker/confine/call_filter.h"

#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "common/log.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

struct FreeFilter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FreeFilter>;

constexpr int kRefused[] = {
    // Programs and processes.
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
    // Other processes.
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal), SCMP_SYS(tkill),
    SCMP_SYS(process_madvise), SCMP_SYS(move_pages), SCMP_SYS(migrate_pages), SCMP_SYS(setpriority),
    SCMP_SYS(ioprio_set),
    // Mounts, namespaces, and handles that pass by the rules for paths.
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
    SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr), SCMP_SYS(setns),
    SCMP_SYS(unshare), SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at),
    // The system.
    SCMP_SYS(acct), SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime), SCMP_SYS(clock_settime),
    SCMP_SYS(delete_module), SCMP_SYS(finit_module), SCMP_SYS(init_module), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(quotactl), SCMP_SYS(reboot), SCMP_SYS(setdomainname),
    SCMP_SYS(sethostname), SCMP_SYS(settimeofday), SCMP_SYS(swapoff), SCMP_SYS(swapon),
    SCMP_SYS(syslog), SCMP_SYS(vhangup), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt),
    SCMP_SYS(personality),
    // Parts of the kernel that attacks on it use.
    SCMP_SYS(add_key), SCMP_SYS(bpf), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register), SCMP_SYS(keyctl), SCMP_SYS(perf_event_open), SCMP_SYS(request_key),
    SCMP_SYS(userfaultfd), SCMP_SYS(fanotify_init), SCMP_SYS(lookup_dcookie),
    // Privileges.
    SCMP_SYS(capset), SCMP_SYS(setfsgid), SCMP_SYS(setfsuid), SCMP_SYS(setgid), SCMP_SYS(setgroups),
    SCMP_SYS(setregid), SCMP_SYS(setresgid), SCMP_SYS(setresuid), SCMP_SYS(setreuid),
    SCMP_SYS(setuid),
    // Names and owners of files. A worker creates log files and changes no others.
    SCMP_SYS(chmod), SCMP_SYS(chown), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(fchown),
    SCMP_SYS(fchownat), SCMP_SYS(lchown), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(rename), SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(rmdir), SCMP_SYS(symlink), SCMP_SYS(symlinkat),
    SCMP_SYS(truncate), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(removexattr), SCMP_SYS(lremovexattr),
    SCMP_SYS(fremovexattr)};

// The calls that send a signal to the process in the first argument.
constexpr int kSignalling[] = {SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(rt_sigqueueinfo),
                               SCMP_SYS(rt_tgsigqueueinfo)};

// The calls that limit or slow down the process in the first argument; 0 is the caller. With a
// limit for its CPU time a worker could end any process of its user.
constexpr int kLimiting[] = {SCMP_SYS(prlimit64), SCMP_SYS(sched_setaffinity),
                             SCMP_SYS(sched_setattr), SCMP_SYS(sched_setparam),
                             SCMP_SYS(sched_setscheduler)};

// Unix, IPv4, IPv6, and netlink, by which glibc lists the addresses of the machine.
constexpr int kLastUsedFamily = AF_NETLINK;
constexpr bool is_used(int family) {
  return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

constexpr size_t kMaxCalls = 1024;
std::array<std::atomic<bool>, kMaxCalls> the_logged;

// True for the first refusal of that call.
bool note_refusal(int call) {
  const auto index = static_cast<size_t>(call);
  return call >= 0 && index < kMaxCalls && !the_logged[index].exchange(true);
}

void set_result(ucontext_t& context, int error) {
#if defined(__x86_64__)
  context.uc_mcontext.gregs[REG_RAX] = -error;
#elif defined(__aarch64__)
  context.uc_mcontext.regs[0] = static_cast<unsigned long long>(-error);
#else
#error "the register of a system call's result"
#endif
}

// The signal comes at the refused call, not at any instruction. Neither malloc nor the log makes
// one, so both can be used here.
void on_refused(int /*signal*/, siginfo_t* info, void* context) {
  const int saved = errno;
  const int call = info->si_syscall;
  if (note_refusal(call)) {
    const std::unique_ptr<char, decltype(&std::free)> name(
        ::seccomp_syscall_resolve_num_arch(info->si_arch, call), std::free);
    log::error("worker.call_refused",
               {{"call", name ? std::string(name.get()) : std::to_string(call)}});
  }
  errno = saved;
  set_result(*static_cast<ucontext_t*>(context), EPERM);
}

Error failed(std::string_view what, int error) {
  errno = error;
  return system_error(what);
}

Result<void> catch_refusals() {
  struct sigaction action {};
  action.sa_sigaction = on_refused;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  // If it were blocked, the kernel would end the process.
  sigset_t refusals;
  ::sigemptyset(&refusals);
  ::sigaddset(&refusals, SIGSYS);
  if (::sigaction(SIGSYS, &action, nullptr) != 0 ||
      ::sigprocmask(SIG_UNBLOCK, &refusals, nullptr) != 0) {
    return system_error("SIGSYS");
  }
  return {};
}

// The first error of several calls, as libseccomp reports it.
class Rules {
 public:
  explicit Rules(scmp_filter_ctx filter) : filter_(filter) {}

  template <class... Condition>
  void add(uint32_t action, int call, Condition... condition) {
    // Negative: the call does not exist on this machine.
    if (call >= 0)
      note(::seccomp_rule_add(filter_, action, call, sizeof...(condition), condition...));
  }
  void note(int result) {
    if (error_ == 0 && result < 0) error_ = -result;
  }
  int error() const { return error_; }

 private:
  scmp_filter_ctx filter_;
  int error_ = 0;
};

void refuse_all(Rules& rules) {
  for (const int call : kRefused) rules.add(SCMP_ACT_TRAP, call);
  const auto own = static_cast<scmp_datum_t>(::getpid());
  for (const int call : kSignalling) {
    rules.add(SCMP_ACT_TRAP, call, SCMP_A0(SCMP_CMP_NE, own));
  }
  for (const int call : kLimiting) rules.add(SCMP_ACT_TRAP, call, SCMP_A0(SCMP_CMP_GT, 0));
  rules.add(SCMP_ACT_TRAP, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  // Its arguments are in memory, where a filter cannot see them. A libc then uses clone().
  rules.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  rules.add(SCMP_ACT_TRAP, SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_GT, kLastUsedFamily));
  for (int family = 0; family <= kLastUsedFamily; ++family) {
    if (is_used(family)) continue;
    rules.add(SCMP_ACT_TRAP, SCMP_SYS(socket),
              SCMP_A0_32(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
  }
}

}  // namespace

Result<void> refuse_calls() {
  const Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return Error{Reason::internal, "seccomp_init failed"};
  Rules rules(filter.get());
  rules.note(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0));       // it is set already
  rules.note(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));  // a binary tree
  refuse_all(rules);
  if (rules.error() != 0) return failed("seccomp rules", rules.error());
  if (auto caught = catch_refusals(); !caught) return caught;
  if (const int result = ::seccomp_load(filter.get()); result < 0) {
    return failed("seccomp", -result);
  }
  return {};
}

}  // namespace streamgate
