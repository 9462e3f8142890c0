#include "worker/task/validate_task.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>

#include "absl/synchronization/mutex.h"
#include "common/status_macros.h"
#include "worker/content/work_pool.h"
#include "worker/task/example_set.h"
#include "worker/task/pixel_store.h"

namespace attune::task {
namespace {

// The server takes no more; the count is of all.
constexpr int kReportedExamples = 100;

}  // namespace

absl::StatusOr<v1::ValidateResult> RunValidateTask(
    const TaskContext& context, const v1::ValidateTask& task) {
  ATTUNE_ASSIGN_OR_RETURN(
      const ExampleSet examples,
      ReadExampleSet(context.connection, task.dataset().name()));
  const std::vector<std::string>& digests = examples.images.values();
  const auto total = static_cast<int64_t>(digests.size());
  absl::Mutex mutex;
  std::map<int64_t, std::string> bad;  // Image to reason, guarded by mutex.
  absl::Status failure;                // Guarded by mutex.
  std::atomic<int64_t> done = 0;
  content::WorkPool pool(context.threads);
  ATTUNE_RETURN_IF_ERROR(ForEachPicture(
      context.connection, digests, pool,
      [&](size_t index, const std::string& bytes) {
        const absl::Status status = context.decoder.Check(bytes);
        absl::MutexLock lock(&mutex);
        if (absl::IsInvalidArgument(status)) {
          bad[static_cast<int64_t>(index)] = std::string(status.message());
        } else {
          failure.Update(status);
        }
        context.progress.Set({.step = ++done, .total_steps = total});
      }));
  ATTUNE_RETURN_IF_ERROR(failure);
  v1::ValidateResult result;
  for (const v1::Example& example : examples.examples) {
    auto found = bad.find(examples.ImageOf(example));
    const bool is_clean_image = found == bad.end();
    if (is_clean_image) found = bad.find(examples.CleanImageOf(example));
    if (found == bad.end()) continue;
    result.set_invalid_example_count(result.invalid_example_count() + 1);
    if (result.invalid_examples_size() == kReportedExamples) continue;
    v1::InvalidExample* invalid = result.add_invalid_examples();
    invalid->set_example(example.id());
    invalid->set_reason(is_clean_image ? "clean_image: " + found->second
                                       : found->second);
  }
  return result;
}

}  // namespace attune::task
