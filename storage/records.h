// The rows of state.db as plain values.

#ifndef ATTUNE_STORAGE_RECORDS_H_
#define ATTUNE_STORAGE_RECORDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/safetensors/clip_layout.h"
#include "storage/job_spec.h"

namespace attune::storage {

using Attributes = std::map<std::string, std::string>;

// ---- datasets

enum class DatasetState {
  kOpen = 1,        // takes uploads
  kValidating = 2,  // waits for a worker to decode its images
  kSealed = 3,      // immutable, usable
  kInvalid = 4,     // some images cannot be decoded
};

enum class ExampleKind { kPair = 1, kClean = 2, kLabelled = 3, kCaption = 4 };

struct Example {
  int64_t id = 0;  // from 1 within the dataset, in order of upload
  ExampleKind kind = ExampleKind::kClean;
  std::string image_digest;
  int64_t image_size_bytes = 0;
  // Pair: preferred and rejected. Labelled: label and attack ("" for none).
  // Caption: caption. Clean: both empty.
  std::string text;
  std::string other_text;
  std::string clean_image_digest;  // pair only; "" for none
  int64_t clean_image_size_bytes = 0;
  Attributes attributes;
  Attributes caption_attributes;  // caption only
};

struct InvalidExample {
  int64_t example = 0;
  std::string reason;
};

struct ExampleCounts {
  int64_t pair = 0;
  int64_t clean = 0;
  int64_t labelled = 0;
  int64_t caption = 0;

  int64_t total() const { return pair + clean + labelled + caption; }
};

struct Dataset {
  std::string name;
  DatasetState state = DatasetState::kOpen;
  absl::Time create_time;
  std::optional<absl::Time> seal_time;
  std::vector<std::string> candidates;
  bool candidates_named = false;
  ExampleCounts counts;
  int64_t image_bytes = 0;                       // of the distinct images
  std::string digest;                            // set once sealed
  std::vector<InvalidExample> invalid_examples;  // at most 100
  int64_t invalid_example_count = 0;
};

// ---- jobs: whatever a worker leases (training, evaluation, validation)

enum class JobState {
  kQueued = 1,
  kRunning = 2,
  kBackoff = 3,
  kPausing = 4,
  kPaused = 5,
  kCancelling = 6,
  kSucceeded = 7,
  kFailed = 8,
  kCancelled = 9,
};

constexpr bool IsTerminal(JobState state) {
  return state >= JobState::kSucceeded;
}

struct Job {
  std::string id;
  int64_t sequence = 0;  // order of creation, given by the store
  JobSpec spec;
  JobState state = JobState::kQueued;
  absl::Time create_time;
  std::optional<absl::Time> start_time;
  std::optional<absl::Time> end_time;
  int32_t attempt = 0;  // the fencing number: grows by one with every lease
  int32_t failure_count = 0;
  std::optional<absl::Time> backoff_until;  // kBackoff
  std::string status_message;
  int64_t step = 0;
  int64_t total_steps = 0;
  std::string worker_id;         // holder of the lease, "" for none
  std::string lease_token_hash;  // SHA-256 of the token, "" for none
  std::string config_digest;
  std::vector<std::string> output_versions;  // NAME:N
  std::string retry_of;  // the job that it goes on from, "" for none
  // Of the datasets and versions that it reads, in the order of
  // core::ReadInputDigests.
  std::vector<std::string> input_digests;
};

struct MetricRow {
  int64_t step = 0;
  int32_t attempt = 0;
  absl::Time time;
  double epoch = 0;
  std::optional<double> loss;
  std::optional<double> objective_loss;
  std::optional<double> kl;
  std::optional<double> preferred_log_ratio;
  std::optional<double> rejected_log_ratio;
  std::optional<double> margin;
  std::optional<double> pair_accuracy;
  std::optional<double> logit_scale;
  std::optional<double> learning_rate;
  std::optional<double> gradient_norm;
  std::optional<double> examples_per_second;
};

struct JobEvent {
  int64_t number = 0;  // from 1 within the job
  absl::Time time;
  int32_t attempt = 0;
  std::string message;
};

struct Figure {
  std::string name;
  double value = 0;
  int64_t count = 0;
  std::optional<double> low = {};  // 95 % interval
  std::optional<double> high = {};
  // The part of the examples, all "" for all of them.
  std::string class_label = {};
  std::string attribute = {};
  std::string group = {};
  std::string candidate = {};

  bool of_a_part() const { return !class_label.empty() || !attribute.empty(); }
};

struct FigureComparison {
  Figure difference;
  int64_t only_model = 0;
  int64_t only_against = 0;
  std::optional<double> p_value;
};

struct Evaluation {
  int64_t id = 0;  // order of creation, given by the store
  std::string job_id;
  absl::Time create_time;
  std::string dataset;
  std::string dataset_digest;
  std::string model;    // NAME:N
  std::string against;  // NAME:N or ""
  // Of the job's EvaluateSpec, given by the store.
  std::optional<double> t = {};
  std::vector<Figure> figures;
  std::vector<Figure> against_figures;
  std::vector<FigureComparison> comparisons;
};

// ---- tensors

using safetensors::DataType;

struct TensorEntry {
  std::string name;
  DataType data_type = DataType::kFloat32;
  std::vector<int64_t> shape;
  std::string blob_digest;
  int64_t size_bytes = 0;

  friend bool operator==(const TensorEntry&, const TensorEntry&) = default;
};

// Named tensors, sorted by name, each a blob.
using TensorManifest = std::vector<TensorEntry>;

struct Checkpoint {
  std::string job_id;
  int64_t step = 0;
  int32_t attempt = 0;
  absl::Time create_time;
  TensorManifest manifest;
  std::string state;  // JSON, the worker's
};

// ---- models

// Embeddings of images by a version, which jobs share. What the tensors mean is
// the worker's affair.
struct StoredEmbeddings {
  std::string variant;  // how they were computed
  TensorManifest manifest;
};

enum class VersionSource { kImported = 1, kAverage = 2, kLastIterate = 3 };

using attune::Activation;
using attune::ClipConfig;

struct Model {
  std::string name;
  absl::Time create_time;
  int32_t version_count = 0;               // versions that exist
  std::map<std::string, int32_t> aliases;  // "latest" among them
};

struct Version {
  std::string model;
  int32_t number = 0;
  VersionSource source = VersionSource::kImported;
  absl::Time create_time;
  ClipConfig config;
  std::string job_id;
  std::string base;  // NAME:N or ""
  std::string dataset;
  std::string dataset_digest;
  std::string digest;  // of the manifest
  int64_t tensor_count = 0;
  int64_t parameter_count = 0;
  int64_t size_bytes = 0;
  int64_t own_size_bytes = 0;
  // Of its job's guard, a sentence each; unset: there was none.
  std::optional<std::vector<std::string>> broken_bounds;
};

// ---- access

// What the holder of a key may do; server/services/access_table.h says what.
enum class Role { kUser = 1, kWorker = 2, kOperator = 3 };

struct ApiKey {
  std::string id;    // 12 hexadecimal digits, a part of the key
  std::string name;  // for people; unique among those that are not revoked
  Role role = Role::kUser;
  std::string digest;  // SHA-256 of the whole key, which is not kept
  absl::Time create_time;
  std::optional<absl::Time> revoke_time;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_RECORDS_H_
