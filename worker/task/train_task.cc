#include "worker/task/train_task.h"

#include <spdlog/spdlog.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"
#include "worker/content/device.h"
#include "worker/content/tensor_upload.h"
#include "worker/content/version_loader.h"
#include "worker/task/checkpoint_schedule.h"
#include "worker/task/checkpoint_writer.h"
#include "worker/task/evaluator.h"
#include "worker/task/guard_run.h"
#include "worker/task/shared_embeddings.h"
#include "worker/task/train_inputs.h"
#include "worker/train/trainer.h"
#include "worker/transport/metrics_reporter.h"
#include "worker/transport/retry.h"

namespace attune::task {
namespace {

v1::MetricRow ToRow(const train::StepMetrics& metrics, int attempt,
                    double examples_per_second) {
  v1::MetricRow row;
  row.set_step(metrics.step);
  row.set_attempt(attempt);
  *row.mutable_time() = ToProtoTimestamp(Clock::Real().WallNow());
  row.set_epoch(metrics.epoch);
  row.set_loss(metrics.loss);
  row.set_objective_loss(metrics.objective_loss);
  if (metrics.kl) row.set_kl(*metrics.kl);
  if (metrics.preferred_log_ratio) {
    row.set_preferred_log_ratio(*metrics.preferred_log_ratio);
  }
  if (metrics.rejected_log_ratio) {
    row.set_rejected_log_ratio(*metrics.rejected_log_ratio);
  }
  if (metrics.margin) row.set_margin(*metrics.margin);
  if (metrics.pair_accuracy) row.set_pair_accuracy(*metrics.pair_accuracy);
  row.set_logit_scale(metrics.logit_scale);
  row.set_learning_rate(metrics.learning_rate);
  row.set_gradient_norm(metrics.gradient_norm);
  row.set_examples_per_second(examples_per_second);
  return row;
}

// One training task on its way.
class Run {
 public:
  Run(const TaskContext& context, const v1::TrainTask& task, int attempt)
      : context_(context), task_(task), attempt_(attempt) {}

  absl::StatusOr<v1::TrainResult> ToTheEnd() {
    config_ = ToTrainConfig(task_.spec());
    ATTUNE_ASSIGN_OR_RETURN(
        config_.bf16,
        UsesBf16(task_.spec().precision(), content::HasBf16(context_.device)));
    spdlog::info("computing in {}", config_.bf16 ? "bf16" : "fp32");
    ATTUNE_ASSIGN_OR_RETURN(
        base_, content::LoadVersion(context_.connection, task_.base(),
                                    context_.device));
    ATTUNE_RETURN_IF_ERROR(LoadData());
    if (task_.has_eval_dataset()) {
      ATTUNE_ASSIGN_OR_RETURN(
          evaluator_, Evaluator::Create(context_, task_.eval_dataset(),
                                        {.truncate = task_.spec().truncate(),
                                         .beside_training = true}));
    }
    ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<train::Trainer> trainer,
                            StartOrResume());
    if (task_.spec().has_guard()) {
      // While an order still ends the calls that fetch them.
      ATTUNE_RETURN_IF_ERROR(evaluator_->LoadPictures(base_.config.image_size));
      if (!guard_.has_value()) {
        ATTUNE_ASSIGN_OR_RETURN(
            guard_, GuardRun::Start(task_.spec(), base_, *evaluator_));
      }
    }
    ATTUNE_RETURN_IF_ERROR(Train(*trainer));
    context_.orders.SetInterruptible(true);
    return Result(*trainer);
  }

 private:
  absl::Status LoadData() {
    ATTUNE_ASSIGN_OR_RETURN(
        examples_, ReadExampleSet(context_.connection, task_.dataset().name()));
    ATTUNE_ASSIGN_OR_RETURN(data_, ToTrainingData(task_.spec(), task_.dataset(),
                                                  examples_, base_.config));
    std::optional<std::vector<std::string>> sources;
    // Every checkpoint of a run names the same.
    if (task_.has_checkpoint()) {
      sources = EmbeddingSources(task_.checkpoint().state());
      for (const auto& earlier : task_.earlier_checkpoints()) {
        if (sources->empty()) sources = EmbeddingSources(earlier.state());
      }
    }
    ATTUNE_ASSIGN_OR_RETURN(
        FoundEmbeddings found,
        FetchEmbeddings(context_.connection, task_.embeddings(),
                        EmbeddingVariant(config_.bf16), examples_,
                        ImagesOf(data_), base_.config.embedding_size, sources));
    spdlog::info("found {} embeddings of the base", found.rows.entries.size());
    data_.known_embeddings = std::move(found.rows);
    embedding_sources_ = std::move(found.sources);
    spdlog::info("loading {} pictures", ImagesOf(data_).size());
    ATTUNE_ASSIGN_OR_RETURN(
        PixelStore pixels,
        PixelStore::Load(
            context_.connection, examples_, ImagesOf(data_),
            context_.PixelOptions(base_.config.image_size),
            [this](int64_t, int64_t) { context_.progress.Worked(); }));
    pixels_ = std::make_unique<PixelStore>(std::move(pixels));
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<train::Trainer>> NewTrainer() {
    return train::Trainer::Create(config_, base_.config, base_.tensors, data_,
                                  pixels_.get());
  }

  CheckpointIdentity identity() const {
    return {.config_digest = task_.config_digest(),
            .reference_digest = task_.base().digest(),
            .embedding_sources = embedding_sources_};
  }

  // The bytes are checked against their digests as they come.
  absl::Status Restore(const v1::CheckpointContent& checkpoint,
                       train::Trainer& trainer) {
    train::TrainerState state;
    ATTUNE_ASSIGN_OR_RETURN(state.json,
                            UnwrapState(checkpoint.state(), identity()));
    ATTUNE_ASSIGN_OR_RETURN(
        state.tensors,
        content::FetchTensors(context_.connection, checkpoint.manifest()));
    // First: it knows the form that the whole state is written in.
    ATTUNE_RETURN_IF_ERROR(trainer.Restore(state));
    if (!task_.spec().has_guard()) return absl::OkStatus();
    ATTUNE_ASSIGN_OR_RETURN(
        guard_, GuardRun::Resume(task_.spec(), base_, *evaluator_, state));
    return absl::OkStatus();
  }

  // From the newest checkpoint that can be used, or from the start: the job's
  // result does not depend on it, only its duration.
  absl::StatusOr<std::unique_ptr<train::Trainer>> StartOrResume() {
    std::vector<const v1::CheckpointContent*> checkpoints;
    if (task_.has_checkpoint()) checkpoints.push_back(&task_.checkpoint());
    for (const auto& earlier : task_.earlier_checkpoints()) {
      checkpoints.push_back(&earlier);
    }
    v1::ReportMetricsRequest report;
    std::unique_ptr<train::Trainer> resumed;
    for (const v1::CheckpointContent* checkpoint : checkpoints) {
      ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<train::Trainer> trainer,
                              NewTrainer());
      const absl::Status restored = Restore(*checkpoint, *trainer);
      if (restored.ok()) {
        spdlog::info("going on from step {}", trainer->step());
        resumed = std::move(trainer);
        break;
      }
      if (!IsFaultOfCheckpoint(restored)) return restored;
      spdlog::warn("the checkpoint after step {} cannot be used: {}",
                   checkpoint->step(), std::string(restored.message()));
      report.add_unusable_checkpoints(checkpoint->step());
    }
    if (report.unusable_checkpoints_size() > 0) {
      report.set_lease_token(context_.lease_token);
      ATTUNE_RETURN_IF_ERROR(transport::Retry(
          context_.connection.stop(), "ReportMetrics",
          [&] { return context_.connection.ReportMetrics(report); }));
    }
    if (resumed != nullptr) return resumed;
    return NewTrainer();
  }

  absl::Status Save(const train::Trainer& trainer, CheckpointWriter& writer,
                    CheckpointSchedule& schedule) {
    ATTUNE_ASSIGN_OR_RETURN(train::TrainerState state, trainer.SaveState());
    if (guard_.has_value()) ATTUNE_RETURN_IF_ERROR(guard_->AddTo(state));
    ATTUNE_RETURN_IF_ERROR(writer.Save(trainer.step(), std::move(state)));
    schedule.Saved(trainer.step(), clock_.MonotonicNow());
    return absl::OkStatus();
  }

  absl::Status Train(train::Trainer& trainer) {
    transport::MetricsReporter reporter(context_.connection,
                                        context_.lease_token, {});
    reporter.SetTotalSteps(trainer.total_steps());
    CheckpointWriter writer(context_.connection, context_.lease_token,
                            identity(),
                            [&reporter] { return reporter.Flush(); });
    CheckpointSchedule schedule(
        task_.spec().has_checkpoint_every() &&
                task_.spec().checkpoint_every() > 0
            ? std::optional<int64_t>(task_.spec().checkpoint_every())
            : std::nullopt,
        trainer.steps_per_epoch(), context_.checkpoint_interval, trainer.step(),
        clock_.MonotonicNow());
    trainer.SetWorkListener([this] { context_.progress.Worked(); });
    context_.orders.SetInterruptible(false);
    context_.progress.Set(
        {.step = trainer.step(), .total_steps = trainer.total_steps()});
    while (!Ended(trainer)) {
      if (context_.orders.given()) {
        return HandBack(trainer, reporter, writer, schedule);
      }
      if (MustEvaluate(trainer)) {
        absl::StatusOr<std::string> sentence = guard_->Evaluate(trainer);
        // Given up for an order, which is looked at next.
        if (absl::IsCancelled(sentence.status()) && context_.orders.given()) {
          continue;
        }
        ATTUNE_RETURN_IF_ERROR(sentence.status());
        reporter.AddNote(*std::move(sentence));
        continue;
      }
      const absl::Duration begin = clock_.MonotonicNow();
      ATTUNE_ASSIGN_OR_RETURN(const train::StepMetrics metrics, trainer.Step());
      const absl::Duration now = clock_.MonotonicNow();
      reporter.Add(ToRow(metrics, attempt_,
                         static_cast<double>(trainer.batch_size()) /
                             absl::ToDoubleSeconds(now - begin)));
      context_.progress.Set(
          {.step = trainer.step(), .total_steps = trainer.total_steps()});
      ATTUNE_RETURN_IF_ERROR(reporter.status());
      ATTUNE_RETURN_IF_ERROR(writer.status());
      // Before the guard evaluates the step, which may take long.
      if (!Ended(trainer) &&
          schedule.Due(trainer.step(), now, !writer.busy())) {
        ATTUNE_RETURN_IF_ERROR(Save(trainer, writer, schedule));
      }
    }
    ATTUNE_RETURN_IF_ERROR(writer.Finish());
    return reporter.Flush();
  }

  // Whether the guard has still to judge the present step; also of a state
  // that was stored before it did.
  bool MustEvaluate(const train::Trainer& trainer) const {
    return guard_.has_value() && guard_->Due(trainer) &&
           guard_->guard().judged_step() < trainer.step();
  }

  bool Ended(const train::Trainer& trainer) const {
    if (MustEvaluate(trainer)) return false;
    return trainer.step() >= trainer.total_steps() ||
           (guard_.has_value() && guard_->guard().stopped());
  }

  absl::Status HandBack(train::Trainer& trainer,
                        transport::MetricsReporter& reporter,
                        CheckpointWriter& writer,
                        CheckpointSchedule& schedule) {
    if (!context_.orders.cancelled()) {
      if (schedule.DueAtStop(trainer.step(), clock_.MonotonicNow())) {
        spdlog::info("storing step {} before stopping", trainer.step());
        ATTUNE_RETURN_IF_ERROR(Save(trainer, writer, schedule));
      }
      ATTUNE_RETURN_IF_ERROR(writer.Finish());
      ATTUNE_RETURN_IF_ERROR(reporter.Flush());
    }
    return absl::CancelledError(
        absl::StrCat("stopped after step ", trainer.step()));
  }

  absl::StatusOr<v1::TrainResult> Result(train::Trainer& trainer) {
    v1::TrainResult result;
    std::vector<model::Tensors> outputs;
    if (task_.spec().average()) {
      ATTUNE_ASSIGN_OR_RETURN(outputs.emplace_back(), trainer.AverageWeights());
    }
    ATTUNE_ASSIGN_OR_RETURN(outputs.emplace_back(), trainer.LastWeights());
    if (guard_.has_value()) {
      ATTUNE_ASSIGN_OR_RETURN(outputs.front(), guard_->FirstOutput(trainer));
      result.set_note(guard_->guard().Note(trainer.total_steps()));
      result.set_steps_done(trainer.step());
    }
    for (const model::Tensors& output : outputs) {
      const bool last = &output == &outputs.back();
      ATTUNE_RETURN_IF_ERROR(AddOutput(
          last ? v1::Version::SOURCE_LAST_ITERATE : v1::Version::SOURCE_AVERAGE,
          output, &result));
    }
    if (task_.has_eval_dataset()) {
      ATTUNE_RETURN_IF_ERROR(EvaluateOutputs(outputs, &result));
    }
    if (const train::EmbeddingRows computed = trainer.ComputedEmbeddings();
        !computed.entries.empty()) {
      ATTUNE_ASSIGN_OR_RETURN(
          *result.mutable_embeddings(),
          StoreEmbeddings(context_.connection, context_.lease_token,
                          EmbeddingVariant(config_.bf16), examples_, computed));
    }
    return result;
  }

  // Each beside the base.
  absl::Status EvaluateOutputs(const std::vector<model::Tensors>& outputs,
                               v1::TrainResult* result) {
    ATTUNE_ASSIGN_OR_RETURN(const evaluate::Answers of_base,
                            evaluator_->Answer(base_.config, base_.tensors));
    for (const model::Tensors& output : outputs) {
      ATTUNE_ASSIGN_OR_RETURN(const evaluate::Answers answers,
                              evaluator_->Answer(base_.config, output));
      *result->add_evaluations() =
          ToResult(evaluator_->Report(answers, &of_base));
    }
    return absl::OkStatus();
  }

  absl::Status AddOutput(v1::Version::Source source,
                         const model::Tensors& tensors,
                         v1::TrainResult* result) {
    v1::TrainResult::Output* output = result->add_outputs();
    output->set_source(source);
    ATTUNE_ASSIGN_OR_RETURN(
        *output->mutable_manifest(),
        content::UploadTensors(context_.connection, context_.lease_token,
                               tensors, task_.base().manifest()));
    return absl::OkStatus();
  }

  const TaskContext& context_;
  const v1::TrainTask& task_;
  const int attempt_;
  const Clock& clock_ = Clock::Real();
  train::TrainConfig config_;
  content::LoadedVersion base_;
  ExampleSet examples_{{}};
  train::TrainingData data_;
  std::vector<std::string> embedding_sources_;
  std::unique_ptr<PixelStore> pixels_;
  // With an eval_dataset, and with a guard.
  std::optional<Evaluator> evaluator_;
  std::optional<GuardRun> guard_;
};

}  // namespace

absl::StatusOr<v1::TrainResult> RunTrainTask(const TaskContext& context,
                                             const v1::TrainTask& task,
                                             int attempt) {
  return Run(context, task, attempt).ToTheEnd();
}

bool IsFaultOfCheckpoint(const absl::Status& restored) {
  return absl::IsDataLoss(restored) || absl::IsInvalidArgument(restored) ||
         absl::IsNotFound(restored) ||
         ErrorReason(restored) == "CHECKPOINT_OUTDATED";
}

}  // namespace attune::task
