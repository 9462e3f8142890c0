#include "worker/decode/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cstddef>
#include <vector>

namespace attune::decode {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// What the allocator, the C++ runtime and the sockets need. The last row lets
// abort() end in SIGABRT.
constexpr uint32_t kAllowedCalls[] = {
    SYS_read,       SYS_write,     SYS_recvfrom,     SYS_sendto,
    SYS_munmap,     SYS_mremap,    SYS_madvise,      SYS_brk,
    SYS_futex,      SYS_getrandom, SYS_rt_sigreturn, SYS_clock_gettime,
    SYS_exit_group, SYS_exit,      SYS_rt_sigaction, SYS_rt_sigprocmask,
    SYS_getpid,     SYS_gettid,    SYS_tgkill};
// Allowed unless they make memory executable, their third argument.
constexpr uint32_t kMemoryCalls[] = {SYS_mmap, SYS_mprotect};

constexpr sock_filter Load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
constexpr sock_filter Return(uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}
// Skips `yes` or `no` instructions.
constexpr sock_filter JumpIfEqual(uint32_t value, uint8_t yes, uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

std::vector<sock_filter> Filter() {
  std::vector<sock_filter> filter = {
      Load(offsetof(seccomp_data, arch)),
      JumpIfEqual(kArchitecture, 1, 0),
      Return(SECCOMP_RET_KILL_PROCESS),
      Load(offsetof(seccomp_data, nr)),
  };
  for (const uint32_t call : kAllowedCalls) {
    filter.push_back(JumpIfEqual(call, 0, 1));
    filter.push_back(Return(SECCOMP_RET_ALLOW));
  }
  for (const uint32_t call : kMemoryCalls) {
    filter.push_back(JumpIfEqual(call, 0, 4));
    // The low half, on a little-endian machine.
    filter.push_back(Load(offsetof(seccomp_data, args[2])));
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
    filter.push_back(Return(SECCOMP_RET_KILL_PROCESS));
    filter.push_back(Return(SECCOMP_RET_ALLOW));
  }
  filter.push_back(Return(SECCOMP_RET_KILL_PROCESS));
  return filter;
}

bool Limit(decltype(RLIMIT_AS) resource, rlim_t value) {
  const rlimit limit = {value, value};
  return setrlimit(resource, &limit) == 0;
}

bool FilterCalls() {
  std::vector<sock_filter> filter = Filter();
  const sock_fprog program = {static_cast<unsigned short>(filter.size()),
                              filter.data()};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

bool EnterSandbox() {
  bool entered = Limit(RLIMIT_CPU, kDecoderCpuSeconds);
  entered &= Limit(RLIMIT_NOFILE, 0);
  entered &= Limit(RLIMIT_CORE, 0);
  entered &= prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // A sanitizer takes terabytes of addresses and calls of its own.
  entered &= Limit(RLIMIT_AS, kDecoderMemoryBytes);
  entered &= FilterCalls();
#endif
  return entered;
}

}  // namespace attune::decode
