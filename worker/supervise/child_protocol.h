// What attune-worker and the children that it starts of itself say to each
// other: three descriptors and an exit status.

#ifndef ATTUNE_WORKER_SUPERVISE_CHILD_PROTOCOL_H_
#define ATTUNE_WORKER_SUPERVISE_CHILD_PROTOCOL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune::supervise {

// Orders to the child, one byte each; at its end the parent is gone or wants
// the child to end.
inline constexpr int kOrderFd = 0;
// Progress from the child, as struct Progress.
inline constexpr int kProgressFd = 3;
// A file with the child's input: for a task a v1::Task.
inline constexpr int kInputFd = 4;

enum class Order : char {
  // Store a checkpoint if the last one is not recent, then hand the lease
  // back.
  kHandBack = 'H',
  // Hand the lease back at once.
  kCancel = 'C',
};

enum ChildExit : int {
  // The task is completed.
  kChildDone = 0,
  // The child ended the attempt with FailTask.
  kChildReported = 10,
  // The server gave the task to somebody else; nothing more was written.
  kChildLeaseLost = 11,
};

struct Progress {
  int64_t step = 0;
  // 0 while unknown.
  int64_t total_steps = 0;
};

// Called by the child. Never waits: when the parent does not read, progress
// is dropped. Thread-safe.
void WriteProgress(const Progress& progress);

// Waits for the next order; CANCELLED when there will be none. For one thread
// of the child.
absl::StatusOr<Order> ReadOrder();

// The child's whole input. INTERNAL when it cannot be read.
absl::StatusOr<std::string> ReadInput();

}  // namespace attune::supervise

#endif  // ATTUNE_WORKER_SUPERVISE_CHILD_PROTOCOL_H_
