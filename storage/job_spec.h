// What a job is asked to do, with every default filled in. Plain values: the
// services translate them from and to attune.v1, SQLite keeps them as JSON.

#ifndef ATTUNE_STORAGE_JOB_SPEC_H_
#define ATTUNE_STORAGE_JOB_SPEC_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/objective_schema.h"

namespace attune::storage {

struct Objective {
  // Of its field in attune.v1.TrainSpec, such as "dpo".
  std::string name = "dpo";
  // A value for every option, by its field's name.
  ObjectiveValues options;

  friend bool operator==(const Objective&, const Objective&) = default;
};

enum class OptimizerKind { kAdamax = 1, kAdamW = 2 };
enum class Schedule { kCosine = 1, kConstant = 2 };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kAdamax;
  double learning_rate = 2e-5;
  double weight_decay = 0;
  double warmup_ratio = 0;
  Schedule schedule = Schedule::kCosine;

  friend bool operator==(const OptimizerOptions&,
                         const OptimizerOptions&) = default;
};

// The numbers are those of attune.v1.TrainedPart.Kind and are stored.
enum class TrainedKind {
  kAll = 1,
  kImage = 2,
  kText = 3,
  kLast = 4,
  kHead = 5
};

// Which tensors are trained.
struct TrainedPart {
  TrainedKind kind = TrainedKind::kAll;
  int32_t last_blocks = 0;  // kLast: 1 to the layers of the deeper tower

  friend bool operator==(const TrainedPart&, const TrainedPart&) = default;
};

// Bounds on what a training job may lose.
struct GuardOptions {
  std::map<std::string, double> max_drop = {};  // figure to drop in [0, 1]
  std::optional<int64_t> eval_every;            // steps; unset: every epoch
  int32_t patience = 0;                         // 0: never ends early
  std::string best_by = {};                     // a figure

  friend bool operator==(const GuardOptions&, const GuardOptions&) = default;
};

enum class Precision { kAuto = 1, kFp32 = 2, kBf16 = 3 };

struct TrainSpec {
  std::string dataset;
  std::string base;  // NAME:N
  std::string output_model;
  Objective objective;
  OptimizerOptions optimizer;
  // Exactly one of the two is set.
  std::optional<int32_t> epochs;
  std::optional<int64_t> steps;
  int32_t batch_size = 512;
  std::optional<int32_t> clean_batch_size;  // unset: batch_size
  int32_t micro_batch_size = 0;             // 0: batch_size
  int64_t seed = 0;
  bool freeze_logit_scale = false;
  bool average = true;
  std::optional<int64_t> checkpoint_every;  // steps; unset: every epoch
  std::string eval_dataset;                 // "": none
  bool truncate = false;
  TrainedPart trained_part;
  std::optional<double> head_penalty;  // κ ≥ 0; set for kHead
  std::optional<GuardOptions> guard;
  Precision precision = Precision::kFp32;

  friend bool operator==(const TrainSpec&, const TrainSpec&) = default;
};

struct EvaluateSpec {
  std::string dataset;
  std::string model;    // NAME:N
  std::string against;  // NAME:N or ""
  std::vector<std::string> templates;
  bool truncate = false;
  std::vector<std::string> group_by = {};  // attributes; empty: those that fit
  int64_t seed = 0;
  // Of a model with a linear head; unset: it has none, or an older build made
  // the job, and what was trained (1) is meant.
  std::optional<double> t = {};

  friend bool operator==(const EvaluateSpec&, const EvaluateSpec&) = default;
};

// Decode every image of the dataset once.
struct ValidateSpec {
  std::string dataset;

  friend bool operator==(const ValidateSpec&, const ValidateSpec&) = default;
};

using JobSpec = std::variant<TrainSpec, EvaluateSpec, ValidateSpec>;

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_JOB_SPEC_H_
