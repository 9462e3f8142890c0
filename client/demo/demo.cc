#include "client/demo/demo.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "client/demo/demo_examples.h"
#include "client/demo/demo_steps.h"
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
  kTests,  // and those of all parts after it
};

constexpr int64_t kCaptionBatch = 64;
constexpr int64_t kPairBatch = 64;
// The first part of the pre-training shows plain captions only: without it the
// tiny model learns the templates' variety before it learns to see.
constexpr double kPlainShare = 0.3;

// How the base is aligned with one objective.
struct Recipe {
  const char* name;
  const char* title;
  double learning_rate;
  // Of the epochs of --align-epochs: what is trained longer forgets more
  // where nothing holds it.
  double epoch_share;
  void (*set_objective)(v1::TrainSpec* spec);
};

constexpr Recipe kRecipes[] = {
    {"ce", "CE: the right text on attacked pictures, without a reference", 3e-4,
     0.5, [](v1::TrainSpec* spec) { spec->mutable_ce()->set_kl_weight(0); }},
    {"dpo", "DPO with KL", 2e-3, 1,
     [](v1::TrainSpec* spec) {
       spec->mutable_dpo()->set_beta(1);
       spec->mutable_dpo()->set_kl_weight(0.3);
     }},
    {"ipo", "IPO with KL", 1e-3, 1,
     [](v1::TrainSpec* spec) {
       spec->mutable_ipo()->set_beta(0.1);
       spec->mutable_ipo()->set_kl_weight(1);
     }},
    {"kto", "KTO with KL", 2e-3, 1,
     [](v1::TrainSpec* spec) {
       spec->mutable_kto()->set_beta(1.5);
       spec->mutable_kto()->set_kl_weight(0.3);
     }},
};

class Demo {
 public:
  Demo(DemoSteps steps, SceneArtist artist)
      : steps_(std::move(steps)),
        options_(steps_.options()),
        artist_(std::move(artist)) {}

  absl::StatusOr<std::vector<DemoRow>> Run(const std::string& random_model);

 private:
  std::string Name(absl::string_view part) const { return steps_.Name(part); }
  uint64_t Seed(uint64_t series) const { return steps_.Seed(series); }
  absl::Status MakeDataset(const std::string& name, int64_t count,
                           const DemoSteps::MakeExample& make) {
    return steps_.MakeDataset(name, AllPrompts(), count, make);
  }
  absl::Status Pretrain(const std::string& dataset, const std::string& base,
                        const std::string& output, int64_t steps, bool first);
  absl::StatusOr<v1::Job> Align(const Recipe& recipe);
  absl::Status MakeTests();
  // Fills in how a version does, and how its base does, on every test.
  absl::Status Measure(DemoRow* row, DemoRow* base);

  DemoSteps steps_;
  const DemoOptions& options_;
  SceneArtist artist_;
};

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
  return steps_.RunJob(std::move(request)).status();
}

absl::StatusOr<v1::Job> Demo::Align(const Recipe& recipe) {
  steps_.Say(absl::StrCat("aligning it: ", recipe.title));
  v1::CreateJobRequest request;
  v1::TrainSpec& spec = *request.mutable_train();
  spec.set_dataset(Name("preferences"));
  spec.set_base(Name("base"));
  spec.set_output_model(Name(recipe.name));
  recipe.set_objective(&spec);
  spec.mutable_optimizer()->set_kind(v1::Optimizer::KIND_ADAMAX);
  spec.mutable_optimizer()->set_learning_rate(recipe.learning_rate);
  spec.mutable_optimizer()->set_warmup_ratio(0.1);
  spec.set_epochs(std::max(
      1, static_cast<int32_t>(recipe.epoch_share * options_.align_epochs)));
  spec.set_batch_size(kPairBatch);
  spec.set_freeze_logit_scale(true);
  spec.set_seed(options_.seed);
  return steps_.RunJob(std::move(request));
}

// One test: its dataset and the figures that it gives.
struct Test {
  const char* dataset;
  // Clean pictures come first, then attacked ones.
  bool has_clean;
  bool has_attacked;
  std::function<absl::StatusOr<v1::Example>(SceneArtist&, uint64_t seed,
                                            int64_t index, bool attacked)>
      make;
  std::vector<std::pair<const char*, double DemoRow::*>> figures;
};

const std::vector<Test>& Tests() {
  const auto of_set = [](TestSet set) {
    return [set](SceneArtist& artist, uint64_t seed, int64_t index,
                 bool attacked) {
      return TestExample(artist, seed, index, set, attacked);
    };
  };
  static const auto& tests = *new std::vector<Test>{
      {"test-seen",
       true,
       true,
       of_set(TestSet::kSeen),
       {{"clean_top1", &DemoRow::clean_top1},
        {"attacked_top1", &DemoRow::attacked_top1_seen},
        {"attack_success", &DemoRow::attack_success}}},
      {"test-unseen",
       true,
       true,
       of_set(TestSet::kUnseen),
       {{"clean_top1", &DemoRow::clean_top1_unseen},
        {"attacked_top1", &DemoRow::attacked_top1_unseen},
        {"attack_success", &DemoRow::attack_success_unseen}}},
      {"test-unseen-font",
       false,
       true,
       of_set(TestSet::kUnseenFont),
       {{"attacked_top1", &DemoRow::attacked_top1_unseen_font},
        {"attack_success", &DemoRow::attack_success_unseen_font}}},
      {"test-words",
       true,
       false,
       [](SceneArtist& artist, uint64_t seed, int64_t index, bool) {
         return WordExample(artist, seed, index);
       },
       {{"clean_top1", &DemoRow::reading_top1}}},
  };
  return tests;
}

absl::Status Demo::MakeTests() {
  uint64_t series = Seed(kTests);
  for (const Test& test : Tests()) {
    const int64_t clean = test.has_clean ? options_.test_pictures : 0;
    const int64_t attacked = test.has_attacked ? options_.test_pictures : 0;
    const uint64_t first = series;
    series += 2;
    ATTUNE_RETURN_IF_ERROR(MakeDataset(
        Name(test.dataset), clean + attacked, [&, first](int64_t index) {
          const bool is_attacked = index >= clean;
          return test.make(artist_, first + (is_attacked ? 1 : 0), index,
                           is_attacked);
        }));
  }
  return absl::OkStatus();
}

// Puts the figures of one test into a row.
absl::Status FillRow(
    const google::protobuf::RepeatedPtrField<v1::Figure>& figures,
    const Test& test, DemoRow* row) {
  for (const auto& [name, member] : test.figures) {
    const auto found = std::find_if(
        figures.begin(), figures.end(),
        [&](const v1::Figure& figure) { return figure.name() == name; });
    if (found == figures.end()) {
      return Error(
          absl::StatusCode::kInternal, "FIGURE_MISSING",
          absl::StrCat("the evaluation on ", test.dataset, " lacks ", name));
    }
    row->*member = found->value();
  }
  return absl::OkStatus();
}

// From the seen classes alone to all of them, each counting alike.
void AverageOverClasses(DemoRow* row) {
  row->clean_top1 = (kSeenClassCount * row->clean_top1 +
                     (kClassCount - kSeenClassCount) * row->clean_top1_unseen) /
                    kClassCount;
}

absl::Status Demo::Measure(DemoRow* row, DemoRow* base) {
  for (const Test& test : Tests()) {
    v1::CreateJobRequest request;
    request.mutable_evaluate()->set_dataset(Name(test.dataset));
    request.mutable_evaluate()->set_model(row->version);
    request.mutable_evaluate()->set_against(base->version);
    ATTUNE_ASSIGN_OR_RETURN(const v1::Job job,
                            steps_.RunJob(std::move(request)));
    v1::GetEvaluationRequest get;
    get.set_job_id(job.id());
    ATTUNE_ASSIGN_OR_RETURN(const v1::Evaluation evaluation,
                            steps_.client().GetEvaluation(get));
    ATTUNE_RETURN_IF_ERROR(FillRow(evaluation.figures(), test, row));
    ATTUNE_RETURN_IF_ERROR(FillRow(evaluation.against_figures(), test, base));
  }
  AverageOverClasses(row);
  AverageOverClasses(base);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DemoRow>> Demo::Run(
    const std::string& random_model) {
  const std::string random_name = Name("random");
  const std::string plain_name = Name("plain");
  const std::string base = Name("base");

  ATTUNE_RETURN_IF_ERROR(
      steps_.client().ImportModel(random_name, random_model).status());
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
  steps_.Say("teaching a tiny CLIP to see and to read (InfoNCE)");
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
  ATTUNE_RETURN_IF_ERROR(MakeTests());

  std::vector<DemoRow> rows(1);
  rows[0].name = "base";
  rows[0].version = absl::StrCat(base, ":1");
  for (const Recipe& recipe : kRecipes) {
    if (!absl::c_linear_search(options_.objectives, recipe.name)) continue;
    ATTUNE_ASSIGN_OR_RETURN(const v1::Job job, Align(recipe));
    DemoRow row;
    row.name = recipe.name;
    row.version = job.output_versions(0);
    row.job_id = job.id();
    ATTUNE_RETURN_IF_ERROR(Measure(&row, &rows.front()));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

const std::vector<std::string>& DemoObjectives() {
  static const auto& names = *new std::vector<std::string>([] {
    std::vector<std::string> list;
    for (const Recipe& recipe : kRecipes) list.push_back(recipe.name);
    return list;
  }());
  return names;
}

absl::StatusOr<std::vector<DemoRow>> RunDemo(AttuneClient& client,
                                             const DemoOptions& options,
                                             const std::string& random_model,
                                             const DemoObserver& observer) {
  ATTUNE_ASSIGN_OR_RETURN(SceneArtist artist, SceneArtist::Create());
  return Demo(DemoSteps(client, options, observer), std::move(artist))
      .Run(random_model);
}

}  // namespace attune::client
