// Loaded before the C library (LD_PRELOAD), lets a test set the wall clock of a
// running process and take its disk away. What it does stands in the file that
// the environment's ATTUNE_FAULTY_LIBC names, which faulty_libc.py writes.
//
// libfaketime does the first of these, but for waits that end at a moment of
// wall time, which is how Abseil's timed waits end: with another clock than the
// kernel's they end too early or too late for a reason that no real clock has.
// Here they end by the clock that the process sees, also when it is set while
// they last.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr int64_t kSecond = 1'000'000'000;
// Timed waits look at the clock again after this.
constexpr int64_t kSlice = 20'000'000;

// As written by faulty_libc.py.
struct Control {
  int64_t wall_offset;  // nanoseconds
  int64_t free_bytes;   // that statvfs tells; < 0: the truth
  int32_t write_error;  // errno of writes to `file`; 0: none
  int32_t sync_error;   // errno of syncs of `file`
  char file[64];        // the end of its path, such as "blobs.db-wal"
  int64_t refused;      // writes and syncs that failed so, counted here
};

Control* MapControl() {
  const char* const path = getenv("ATTUNE_FAULTY_LIBC");
  const int file = path == nullptr ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* const mapped = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE,
                            MAP_SHARED, file, 0);
  close(file);
  return mapped == MAP_FAILED ? nullptr : static_cast<Control*>(mapped);
}

Control& control() {
  static Control none = {0, -1, 0, 0, "", 0};
  static Control* const mapped = MapControl();
  return mapped == nullptr ? none : *mapped;
}

template <typename Function>
Function* Next(Function*, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int64_t WallOffset() {
  return __atomic_load_n(&control().wall_offset, __ATOMIC_RELAXED);
}

bool IsWall(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int64_t Nanoseconds(const timespec& time) {
  return time.tv_sec * kSecond + time.tv_nsec;
}

timespec Timespec(int64_t nanoseconds) {
  return {.tv_sec = nanoseconds / kSecond, .tv_nsec = nanoseconds % kSecond};
}

int64_t WallNow() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return Nanoseconds(now);
}

// 0, or `error` when `descriptor` is the file that fails.
int Failing(int descriptor, int error) {
  if (error == 0) return 0;
  char link[64];
  char path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
  const ssize_t size = readlink(link, path, sizeof(path));
  const ssize_t wanted = strnlen(control().file, sizeof(control().file));
  if (size < wanted ||
      memcmp(path + size - wanted, control().file, wanted) != 0) {
    return 0;
  }
  __atomic_add_fetch(&control().refused, 1, __ATOMIC_RELAXED);
  return error;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) {
  static auto* const next = Next(&clock_gettime, "clock_gettime");
  const int result = next(clock, time);
  if (result == 0 && IsWall(clock)) {
    *time = Timespec(Nanoseconds(*time) + WallOffset());
  }
  return result;
}

int gettimeofday(timeval* __restrict time, void* __restrict) {
  const int64_t now = WallNow();
  time->tv_sec = now / kSecond;
  time->tv_usec = now % kSecond / 1000;
  return 0;
}

time_t time(time_t* result) {
  const time_t now = WallNow() / kSecond;
  if (result != nullptr) *result = now;
  return now;
}

long syscall(long number, ...) {
  static auto* const next = Next(&syscall, "syscall");
  long a[6];
  va_list list;
  va_start(list, number);
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  const auto* const until = reinterpret_cast<const timespec*>(a[3]);
  if (number != SYS_futex || (a[1] & FUTEX_CLOCK_REALTIME) == 0 ||
      until == nullptr) {
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  const int64_t deadline = Nanoseconds(*until);
  while (true) {
    const int64_t left = deadline - WallNow();
    timespec slice = Timespec(left < 0 ? 0 : left < kSlice ? left : kSlice);
    const long result =
        next(SYS_futex, a[0], FUTEX_WAIT | (a[1] & FUTEX_PRIVATE_FLAG), a[2],
             &slice, nullptr, 0);
    if (result == 0 || errno != ETIMEDOUT || left <= kSlice) return result;
  }
}

ssize_t write(int file, const void* bytes, size_t size) {
  static auto* const next = Next(&write, "write");
  errno = Failing(file, control().write_error);
  return errno == 0 ? next(file, bytes, size) : -1;
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  static auto* const next = Next(&pwrite, "pwrite");
  errno = Failing(file, control().write_error);
  return errno == 0 ? next(file, bytes, size, offset) : -1;
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  return pwrite(file, bytes, size, offset);
}

int fsync(int file) {
  static auto* const next = Next(&fsync, "fsync");
  errno = Failing(file, control().sync_error);
  return errno == 0 ? next(file) : -1;
}

int fdatasync(int file) {
  static auto* const next = Next(&fdatasync, "fdatasync");
  errno = Failing(file, control().sync_error);
  return errno == 0 ? next(file) : -1;
}

int statvfs(const char* __restrict path, struct statvfs* __restrict answer) {
  static auto* const next = Next(&statvfs, "statvfs");
  const int result = next(path, answer);
  const int64_t free_bytes = control().free_bytes;
  if (result == 0 && free_bytes >= 0) {
    answer->f_bavail = answer->f_bfree = free_bytes / answer->f_frsize;
  }
  return result;
}

}  // extern "C"
