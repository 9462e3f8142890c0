#ifndef ATTUNE_WORKER_TASK_CHECKPOINT_WRITER_H_
#define ATTUNE_WORKER_TASK_CHECKPOINT_WRITER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/train/trainer.h"
#include "worker/transport/server_connection.h"

namespace attune::task {

// What a checkpoint belongs to.
struct CheckpointIdentity {
  std::string config_digest;
  // Digest of the version that training started from.
  std::string reference_digest;
  // Where the run's embeddings of the base came from (shared_embeddings.h). Not
  // compared: a run that goes on takes the same.
  std::vector<std::string> embedding_sources = {};
};

// The state's JSON on the wire: the trainer's, what it belongs to, and the
// build that wrote it.
std::string WrapState(const std::string& trainer_json,
                      const CheckpointIdentity& identity);

// The trainer's part. FAILED_PRECONDITION (CHECKPOINT_MISMATCH) when it belongs
// to something else; DATA_LOSS (INVALID_CHECKPOINT) when it cannot be read.
absl::StatusOr<std::string> UnwrapState(const std::string& state,
                                        const CheckpointIdentity& identity);

// The embedding sources of a state; none when it cannot be read.
std::vector<std::string> EmbeddingSources(const std::string& state);

// Hashes and uploads checkpoints on a thread of its own, one at a time.
// Thread-safe.
class CheckpointWriter {
 public:
  // `before_commit` is called on the writer's thread when a checkpoint's
  // tensors are stored: what a run that goes on from it does not make again
  // must be stored when it returns.
  CheckpointWriter(transport::ServerConnection& connection,
                   std::string lease_token, CheckpointIdentity identity,
                   std::function<absl::Status()> before_commit);
  // Waits for the checkpoint in progress.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Whether one is being written.
  bool busy() const;

  // Waits for the one in progress, then begins with this one. Returns the
  // error of an earlier one, such as LEASE_LOST.
  absl::Status Save(int64_t step, train::TrainerState state);

  // Waits until everything is stored.
  absl::Status Finish();

  // The first error; OK while all is well.
  absl::Status status() const;

 private:
  struct Work {
    int64_t step;
    train::TrainerState state;
  };

  void Run();
  absl::Status Write(const Work& work);

  transport::ServerConnection& connection_;
  const std::string lease_token_;
  const CheckpointIdentity identity_;
  const std::function<absl::Status()> before_commit_;
  mutable absl::Mutex mutex_;
  std::optional<Work> work_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_CHECKPOINT_WRITER_H_
