#include "client/demo/demo_steps.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(200);

}  // namespace

std::string DemoSteps::Name(absl::string_view part) const {
  return absl::StrCat(options_.prefix, "-", part);
}

absl::Status DemoSteps::MakeDataset(const std::string& name,
                                    const std::vector<std::string>& candidates,
                                    int64_t count, const MakeExample& make) {
  Say(absl::StrCat("drawing and uploading ", count, " pictures as ", name));
  v1::CreateDatasetRequest create;
  create.set_name(name);
  create.mutable_candidates()->Assign(candidates.begin(), candidates.end());
  ATTUNE_RETURN_IF_ERROR(client_.CreateDataset(create).status());
  ExampleSource source;
  source.count = count;
  source.read = make;
  ATTUNE_RETURN_IF_ERROR(
      client_.UploadExamples(name, source, observer_.transfer).status());
  v1::SealDatasetRequest seal;
  seal.set_name(name);
  ATTUNE_ASSIGN_OR_RETURN(v1::Dataset dataset, client_.SealDataset(seal));
  v1::GetDatasetRequest get;
  get.set_name(name);
  while (dataset.state() == v1::DATASET_STATE_VALIDATING) {
    absl::SleepFor(kPollInterval);
    ATTUNE_ASSIGN_OR_RETURN(dataset, client_.GetDataset(get));
  }
  if (dataset.state() != v1::DATASET_STATE_SEALED) {
    return Error(
        absl::StatusCode::kFailedPrecondition, "DATASET_INVALID",
        absl::StrCat("a worker could not decode ",
                     dataset.invalid_example_count(), " pictures of ", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Job> DemoSteps::RunJob(v1::CreateJobRequest request) {
  ATTUNE_ASSIGN_OR_RETURN(v1::Job job, client_.CreateJob(std::move(request)));
  ATTUNE_ASSIGN_OR_RETURN(job, observer_.watch(job.id()));
  if (job.state() != v1::JOB_STATE_SUCCEEDED) {
    return Error(
        absl::StatusCode::kFailedPrecondition, "JOB_FAILED",
        absl::StrCat(job.id(), " did not succeed: ", job.status_message()));
  }
  return job;
}

}  // namespace attune::client
