#include "client/demo/demo.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/demo/demo_examples.h"
#include "client/demo/scenes.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Series of pictures: no two datasets share one.
enum Series : uint64_t {
  kCaptions = 1,
  kPairs,
  kClean,
  kTests,  // and the three after it
};

constexpr absl::Duration kPollInterval = absl::Milliseconds(200);
constexpr int64_t kCaptionBatch = 64;
constexpr int64_t kPairBatch = 64;
// The first part of the pre-training shows plain captions only: without it the
// tiny model learns the templates' variety before it learns to see.
constexpr double kPlainShare = 0.3;

class Demo {
 public:
  Demo(AttuneClient& client, const DemoOptions& options,
       const DemoObserver& observer, SceneArtist artist)
      : client_(client),
        options_(options),
        observer_(observer),
        artist_(std::move(artist)) {}

  absl::StatusOr<std::vector<DemoRow>> Run(const std::string& random_model);

 private:
  using MakeExample = std::function<absl::StatusOr<v1::Example>(int64_t index)>;

  std::string Name(absl::string_view part) const {
    return absl::StrCat(options_.prefix, "-", part);
  }
  uint64_t Seed(uint64_t series) const { return options_.seed * 1000 + series; }

  absl::Status MakeDataset(const std::string& name, int64_t count,
                           const MakeExample& make);
  absl::Status RunJob(v1::CreateJobRequest request, std::string* id);
  absl::Status Pretrain(const std::string& dataset, const std::string& base,
                        const std::string& output, int64_t steps, bool first);
  absl::Status Align(const std::string& dataset, const std::string& base,
                     const std::string& output);
  // Evaluates the aligned version against the base on one test set.
  absl::StatusOr<v1::Evaluation> Evaluate(const std::string& dataset,
                                          const std::string& model,
                                          const std::string& against);

  AttuneClient& client_;
  const DemoOptions& options_;
  const DemoObserver& observer_;
  SceneArtist artist_;
};

absl::Status Demo::MakeDataset(const std::string& name, int64_t count,
                               const MakeExample& make) {
  observer_.say(
      absl::StrCat("drawing and uploading ", count, " pictures as ", name));
  v1::CreateDatasetRequest create;
  create.set_name(name);
  for (const std::string& prompt : AllPrompts()) create.add_candidates(prompt);
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

absl::Status Demo::RunJob(v1::CreateJobRequest request, std::string* id) {
  ATTUNE_ASSIGN_OR_RETURN(v1::Job job, client_.CreateJob(std::move(request)));
  *id = job.id();
  ATTUNE_ASSIGN_OR_RETURN(job, observer_.watch(*id));
  if (job.state() != v1::JOB_STATE_SUCCEEDED) {
    return Error(absl::StatusCode::kFailedPrecondition, "JOB_FAILED",
                 absl::StrCat(*id, " did not succeed: ", job.status_message()));
  }
  return absl::OkStatus();
}

absl::Status Demo::Pretrain(const std::string& dataset, const std::string& base,
                            const std::string& output, int64_t steps,
                            bool first) {
  v1::CreateJobRequest request;
  v1::TrainSpec& spec = *request.mutable_train();
  spec.set_dataset(dataset);
  spec.set_base(base);
  spec.set_output_model(output);
  spec.mutable_infonce();
  spec.mutable_optimizer()->set_kind(v1::Optimizer::KIND_ADAMW);
  spec.mutable_optimizer()->set_learning_rate(1e-3);
  spec.mutable_optimizer()->set_weight_decay(0.05);
  spec.mutable_optimizer()->set_warmup_ratio(first ? 0.15 : 0.03);
  spec.mutable_optimizer()->set_schedule(first
                                             ? v1::Optimizer::SCHEDULE_CONSTANT
                                             : v1::Optimizer::SCHEDULE_COSINE);
  spec.set_steps(steps);
  spec.set_batch_size(kCaptionBatch);
  spec.set_seed(options_.seed);
  std::string id;
  return RunJob(std::move(request), &id);
}

absl::Status Demo::Align(const std::string& dataset, const std::string& base,
                         const std::string& output) {
  v1::CreateJobRequest request;
  v1::TrainSpec& spec = *request.mutable_train();
  spec.set_dataset(dataset);
  spec.set_base(base);
  spec.set_output_model(output);
  spec.mutable_dpo()->set_beta(1);
  spec.mutable_dpo()->set_kl_weight(0.3);
  spec.mutable_optimizer()->set_kind(v1::Optimizer::KIND_ADAMAX);
  spec.mutable_optimizer()->set_learning_rate(2e-3);
  spec.mutable_optimizer()->set_warmup_ratio(0.1);
  spec.set_epochs(static_cast<int32_t>(options_.align_epochs));
  spec.set_batch_size(kPairBatch);
  spec.set_freeze_logit_scale(true);
  spec.set_seed(options_.seed);
  std::string id;
  return RunJob(std::move(request), &id);
}

absl::StatusOr<v1::Evaluation> Demo::Evaluate(const std::string& dataset,
                                              const std::string& model,
                                              const std::string& against) {
  v1::CreateJobRequest request;
  request.mutable_evaluate()->set_dataset(dataset);
  request.mutable_evaluate()->set_model(model);
  request.mutable_evaluate()->set_against(against);
  std::string id;
  ATTUNE_RETURN_IF_ERROR(RunJob(std::move(request), &id));
  v1::GetEvaluationRequest get;
  get.set_job_id(id);
  return client_.GetEvaluation(get);
}

// Puts the figures of one test set into a row.
absl::Status FillRow(
    const google::protobuf::RepeatedPtrField<v1::Figure>& figures,
    ClassSet classes, DemoRow& row) {
  const bool seen = classes == ClassSet::kSeen;
  const std::pair<absl::string_view, double*> wanted[] = {
      {"clean_top1", seen ? &row.clean_seen : &row.clean_held_out},
      {"attacked_top1", seen ? &row.attacked_seen : &row.attacked_held_out},
      {"attack_success",
       seen ? &row.attack_success_seen : &row.attack_success_held_out}};
  for (const auto& [name, value] : wanted) {
    const auto found = std::find_if(
        figures.begin(), figures.end(),
        [&](const v1::Figure& figure) { return figure.name() == name; });
    if (found == figures.end()) {
      return Error(absl::StatusCode::kInternal, "FIGURE_MISSING",
                   absl::StrCat("the evaluation lacks ", name));
    }
    *value = found->value();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DemoRow>> Demo::Run(
    const std::string& random_model) {
  const std::string random_name = Name("random");
  const std::string plain_name = Name("plain");
  const std::string base = Name("base");
  const std::string aligned = Name("aligned");

  ATTUNE_RETURN_IF_ERROR(
      client_.ImportModel(random_name, random_model).status());
  const int64_t plain_steps =
      static_cast<int64_t>(kPlainShare * options_.pretrain_steps);
  const auto captions = [&](bool plain) {
    return [&, plain](int64_t index) {
      return CaptionExample(artist_, Seed(kCaptions), index, plain);
    };
  };
  ATTUNE_RETURN_IF_ERROR(MakeDataset(
      Name("plain-captions"),
      std::min(options_.pretrain_pictures, plain_steps * kCaptionBatch),
      captions(true)));
  ATTUNE_RETURN_IF_ERROR(MakeDataset(
      Name("captions"), options_.pretrain_pictures, captions(false)));
  observer_.say("teaching a tiny CLIP to see and to read (InfoNCE)");
  ATTUNE_RETURN_IF_ERROR(Pretrain(Name("plain-captions"), random_name,
                                  plain_name, plain_steps, true));
  ATTUNE_RETURN_IF_ERROR(Pretrain(Name("captions"), plain_name, base,
                                  options_.pretrain_steps - plain_steps,
                                  false));

  ATTUNE_RETURN_IF_ERROR(
      MakeDataset(Name("preferences"), 2 * options_.pairs, [&](int64_t index) {
        return index < options_.pairs
                   ? PairExample(artist_, Seed(kPairs), index)
                   : CleanExample(artist_, Seed(kClean), index);
      }));
  observer_.say(
      "aligning it: rather the object than the word, and all else as before "
      "(DPO with KL)");
  ATTUNE_RETURN_IF_ERROR(Align(Name("preferences"), base, aligned));

  DemoRow base_row{.name = "base", .version = absl::StrCat(base, ":1")};
  DemoRow aligned_row{.name = "aligned",
                      .version = absl::StrCat(aligned, ":1")};
  for (ClassSet classes : {ClassSet::kSeen, ClassSet::kHeldOut}) {
    const bool seen = classes == ClassSet::kSeen;
    const std::string test = Name(seen ? "test-seen" : "test-held-out");
    ATTUNE_RETURN_IF_ERROR(
        MakeDataset(test, 2 * options_.test_pictures, [&](int64_t index) {
          const bool attacked = index >= options_.test_pictures;
          return LabelledExample(
              artist_, Seed(kTests + 2 * (seen ? 0 : 1) + (attacked ? 1 : 0)),
              index, classes, attacked);
        }));
    ATTUNE_ASSIGN_OR_RETURN(
        const v1::Evaluation evaluation,
        Evaluate(test, aligned_row.version, base_row.version));
    ATTUNE_RETURN_IF_ERROR(FillRow(evaluation.figures(), classes, aligned_row));
    ATTUNE_RETURN_IF_ERROR(
        FillRow(evaluation.against_figures(), classes, base_row));
  }
  return std::vector<DemoRow>{base_row, aligned_row};
}

}  // namespace

absl::StatusOr<std::vector<DemoRow>> RunDemo(AttuneClient& client,
                                             const DemoOptions& options,
                                             const std::string& random_model,
                                             const DemoObserver& observer) {
  ATTUNE_ASSIGN_OR_RETURN(SceneArtist artist, SceneArtist::Create());
  return Demo(client, options, observer, std::move(artist)).Run(random_model);
}

}  // namespace attune::client
