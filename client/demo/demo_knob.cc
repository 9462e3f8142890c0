#include "client/demo/demo_knob.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/demo/demo_examples.h"
#include "client/demo/demo_steps.h"
#include "client/demo/scenes.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Series of pictures that RunDemo does not use.
enum Series : uint64_t { kPairs = 100, kClean, kTest };

constexpr int64_t kPairCount = 1'024;
constexpr int64_t kCleanCount = 1'024;
constexpr int kSteps = 500;
constexpr double kFirst = -1, kLast = 2, kStep = 0.25;
// Of one call.
constexpr size_t kPicturesAtATime = 200;

v1::CreateJobRequest HeadJob(const DemoSteps& steps) {
  v1::CreateJobRequest request;
  v1::TrainSpec& spec = *request.mutable_train();
  spec.set_dataset(steps.Name("colours"));
  spec.set_base(steps.Name("base"));
  spec.set_output_model(steps.Name("colour-knob"));
  spec.mutable_dpo()->set_beta(1);
  spec.mutable_dpo()->set_kl_weight(0.1);
  spec.mutable_trained_part()->set_kind(v1::TrainedPart::KIND_HEAD);
  spec.mutable_head()->set_penalty(0.01);
  spec.mutable_optimizer()->set_kind(v1::Optimizer::KIND_ADAMAX);
  spec.mutable_optimizer()->set_learning_rate(1e-2);
  spec.set_steps(kSteps);
  // All of it at every step: the towers' embeddings are computed once.
  spec.set_batch_size(kPairCount);
  spec.set_clean_batch_size(kCleanCount);
  spec.set_average(false);
  spec.set_seed(static_cast<int64_t>(steps.options().seed));
  return request;
}

// Red and blue objects, then as many of any colour.
absl::StatusOr<std::vector<ColorTest>> MakeTests(const DemoSteps& steps,
                                                 SceneArtist& artist) {
  const int64_t each = steps.options().test_pictures;
  std::vector<ColorTest> tests;
  for (int64_t i = 0; i < 2 * each; ++i) {
    ATTUNE_ASSIGN_OR_RETURN(ColorTest test,
                            MakeColorTest(artist, steps.Seed(kTest), i,
                                          /*any_color=*/i >= each));
    tests.push_back(std::move(test));
  }
  return tests;
}

// The logits of each test over `labels`.
absl::StatusOr<std::vector<std::vector<double>>> Ask(
    AttuneClient& client, const std::string& version,
    const std::vector<ColorTest>& tests, const std::vector<std::string>& labels,
    double t) {
  std::vector<std::vector<double>> logits;
  for (size_t begin = 0; begin < tests.size(); begin += kPicturesAtATime) {
    v1::ClassifyImagesRequest request;
    request.set_version(version);
    request.set_t(t);
    request.mutable_labels()->Assign(labels.begin(), labels.end());
    const size_t end = std::min(tests.size(), begin + kPicturesAtATime);
    for (size_t i = begin; i < end; ++i) request.add_images(tests[i].image);
    ATTUNE_ASSIGN_OR_RETURN(const v1::ClassifyImagesResponse response,
                            client.ClassifyImages(request));
    for (const v1::Classification& answer : response.classifications()) {
      if (answer.has_error()) {
        return Error(absl::StatusCode::kInternal, "PICTURE_UNANSWERED",
                     absl::StrCat("a picture of the test has no answer: ",
                                  answer.error().message()));
      }
      std::vector<double>& of_picture = logits.emplace_back(labels.size());
      for (const v1::LabelScore& score : answer.scores()) {
        of_picture[static_cast<size_t>(score.label_index())] = score.logit();
      }
    }
  }
  return logits;
}

DemoKnobPoint Measure(const std::vector<ColorTest>& tests,
                      const std::vector<std::vector<double>>& logits,
                      double t) {
  DemoKnobPoint point = {.t = t};
  const size_t each = tests.size() / 2;
  for (size_t i = 0; i < tests.size(); ++i) {
    const ColorAnswer answer =
        ReadColorAnswer(logits[i], tests[i].class_index, tests[i].color);
    if (i < each) {
      point.margin += answer.margin / static_cast<double>(each);
      point.told_apart += answer.margin > 0;
    } else {
      point.class_top1 += answer.class_right;
    }
  }
  point.told_apart /= static_cast<double>(each);
  point.class_top1 /= static_cast<double>(each);
  return point;
}

}  // namespace

ColorAnswer ReadColorAnswer(const std::vector<double>& logits, int class_index,
                            int color) {
  ColorAnswer answer;
  if (color == kRed || color == kBlue) {
    const double red = logits[static_cast<size_t>(2 * class_index)];
    const double blue = logits[static_cast<size_t>(2 * class_index + 1)];
    answer.margin = color == kRed ? red - blue : blue - red;
  }
  const auto plain = logits.begin() + 2 * kClassCount;
  const auto best = std::max_element(plain, logits.end());
  answer.class_right = best - plain == class_index;
  return answer;
}

absl::StatusOr<DemoKnob> RunDemoKnob(AttuneClient& client,
                                     const DemoOptions& options,
                                     const DemoObserver& observer) {
  ATTUNE_ASSIGN_OR_RETURN(SceneArtist artist, SceneArtist::Create());
  DemoSteps steps(client, options, observer);
  const std::vector<std::string> labels = ColorPrompts();
  ATTUNE_RETURN_IF_ERROR(steps.MakeDataset(
      steps.Name("colours"), labels, kPairCount + kCleanCount,
      [&](int64_t index) {
        return index < kPairCount
                   ? ColorPairExample(artist, steps.Seed(kPairs), index)
                   : ColorCleanExample(artist, steps.Seed(kClean), index);
      }));
  steps.Say("putting red and blue on a knob (a linear head, DPO)");
  ATTUNE_ASSIGN_OR_RETURN(const v1::Job job, steps.RunJob(HeadJob(steps)));
  DemoKnob knob = {
      .job_id = job.id(), .version = job.output_versions(0), .points = {}};
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<ColorTest> tests,
                          MakeTests(steps, artist));
  steps.Say("turning the knob");
  const int count = static_cast<int>((kLast - kFirst) / kStep) + 1;
  for (int i = 0; i < count; ++i) {
    const double t = kFirst + i * kStep;
    ATTUNE_ASSIGN_OR_RETURN(const auto logits,
                            Ask(client, knob.version, tests, labels, t));
    knob.points.push_back(Measure(tests, logits, t));
  }
  return knob;
}

}  // namespace attune::client
