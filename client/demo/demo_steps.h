#ifndef ATTUNE_CLIENT_DEMO_DEMO_STEPS_H_
#define ATTUNE_CLIENT_DEMO_DEMO_STEPS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/demo/demo.h"

namespace attune::client {

// What the demo does again and again, through the public API. Not thread-safe.
class DemoSteps {
 public:
  using MakeExample = std::function<absl::StatusOr<v1::Example>(int64_t index)>;

  // All must outlive the object.
  DemoSteps(AttuneClient& client, const DemoOptions& options,
            const DemoObserver& observer)
      : client_(client), options_(options), observer_(observer) {}

  AttuneClient& client() { return client_; }
  const DemoOptions& options() const { return options_; }
  void Say(absl::string_view text) const { observer_.say(text); }

  // Of what the demo makes: "PREFIX-part".
  std::string Name(absl::string_view part) const;
  // Of a series of pictures; no two datasets share one.
  uint64_t Seed(uint64_t series) const { return options_.seed * 1000 + series; }

  // Draws, uploads, seals and waits. DATASET_INVALID, FAILED_PRECONDITION,
  // when a worker could not decode the pictures.
  absl::Status MakeDataset(const std::string& name,
                           const std::vector<std::string>& candidates,
                           int64_t count, const MakeExample& make);
  // Submits a job, shows it and returns it as it ended. JOB_FAILED,
  // FAILED_PRECONDITION, when it did not succeed.
  absl::StatusOr<v1::Job> RunJob(v1::CreateJobRequest request);

 private:
  AttuneClient& client_;
  const DemoOptions& options_;
  const DemoObserver& observer_;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DEMO_DEMO_STEPS_H_
