#include "tests/server/core/jobs_fixture.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/digest.h"
#include "common/grpc/objective_codec.h"
#include "common/safetensors/clip_layout.h"
#include "server/core/datasets/dataset_digest.h"
#include "server/core/models/version.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/common/image/fake_files.h"

namespace attune::core {
namespace {

using storage::StateTransaction;

ExampleInput Input(storage::ExampleKind kind, absl::string_view image,
                   absl::string_view text, absl::string_view other_text) {
  ExampleInput input;
  input.example.kind = kind;
  input.example.text = std::string(text);
  input.example.other_text = std::string(other_text);
  input.image = FakePng(image);
  return input;
}

}  // namespace

std::string FakePng(absl::string_view content) {
  return absl::StrCat(image::test::PngStart(4, 4),
                      image::test::PngChunk("IDAT", std::string(content)),
                      image::test::PngChunk("IEND", ""));
}

ExampleInput Pair(absl::string_view image, absl::string_view preferred,
                  absl::string_view rejected) {
  return Input(storage::ExampleKind::kPair, image, preferred, rejected);
}

ExampleInput Clean(absl::string_view image) {
  return Input(storage::ExampleKind::kClean, image, "", "");
}

ExampleInput Labelled(absl::string_view image, absl::string_view label,
                      absl::string_view attack) {
  return Input(storage::ExampleKind::kLabelled, image, label, attack);
}

ExampleInput Caption(absl::string_view image, absl::string_view caption) {
  return Input(storage::ExampleKind::kCaption, image, caption, "");
}

JobsFixture::JobsFixture()
    : state_(*storage::OpenStateStore(":memory:", {&clock_, nullptr})),
      blobs_(*storage::OpenBlobStore(":memory:", {&clock_, nullptr})),
      leases_(std::make_unique<LeaseManager>(*state_, clock_, executor_,
                                             workers_, table_, signals_,
                                             metrics_, options_)),
      jobs_(std::make_unique<JobManager>(*state_, clock_, workers_, table_,
                                         signals_)),
      datasets_(std::make_unique<DatasetManager>(*state_, *blobs_, clock_,
                                                 workers_, table_, signals_)),
      reports_(std::make_unique<TaskReports>(*state_, *blobs_, clock_, workers_,
                                             table_, signals_, metrics_,
                                             options_)) {}

JobsFixture::~JobsFixture() { executor_.Shutdown(); }

storage::TensorManifest JobsFixture::StoreTensors(float value) {
  storage::TensorManifest manifest;
  for (const auto& [name, shape] :
       {std::pair<std::string, std::vector<int64_t>>{"logit_scale", {1}},
        {"text_projection", {2, 3}},
        {"visual.proj", {2, 2}}}) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    std::string bytes(count * sizeof(float), '\0');
    for (int64_t i = 0; i < count; ++i) {
      const float element = value + static_cast<float>(i);
      std::memcpy(&bytes[i * sizeof(float)], &element, sizeof(float));
    }
    const std::string digest = Sha256Hex(bytes);
    const storage::BlobView view = {digest, bytes};
    EXPECT_TRUE(blobs_->Put({&view, 1}).ok());
    manifest.push_back({.name = name,
                        .data_type = storage::DataType::kFloat32,
                        .shape = shape,
                        .blob_digest = digest,
                        .size_bytes = static_cast<int64_t>(bytes.size())});
  }
  return manifest;
}

storage::TensorManifest JobsFixture::WithHead(
    storage::TensorManifest manifest) {
  // The bytes of its [2, 2] and, cut, of its [2] are as good as any.
  storage::TensorEntry v = manifest.back();
  v.name = kHeadDirections;
  const std::string bytes = blobs_->ReadAll(v.blob_digest)->substr(0, 8);
  const std::string digest = Sha256Hex(bytes);
  const storage::BlobView view = {digest, bytes};
  EXPECT_TRUE(blobs_->Put({&view, 1}).ok());
  const storage::TensorEntry values = {.name = kHeadSingularValues,
                                       .data_type = storage::DataType::kFloat32,
                                       .shape = {2},
                                       .blob_digest = digest,
                                       .size_bytes = 8};
  manifest.insert(manifest.begin(), v);
  manifest.insert(manifest.begin(), values);
  return manifest;
}

storage::Version JobsFixture::AddBase(const std::string& model, bool head) {
  storage::TensorManifest manifest = StoreTensors(1);
  if (head) manifest = WithHead(std::move(manifest));
  storage::Version version;
  version.model = model;
  version.create_time = clock_.WallNow();
  version.config.context_length = kContextLength;
  version.config.embedding_size = 2;
  version.config.vision_layers = version.config.text_layers = 1;
  const absl::Status status = state_->Write([&](StateTransaction& transaction) {
    auto added = AddVersion(transaction, version, manifest, true);
    if (added.ok()) version = *added;
    return added.status();
  });
  EXPECT_TRUE(status.ok()) << status;
  return version;
}

absl::StatusOr<int64_t> JobsFixture::Upload(absl::string_view dataset,
                                            std::vector<ExampleInput> examples,
                                            const RequestKey& key) {
  auto upload = datasets_->BeginUpload(dataset, key.id);
  if (!upload.ok()) return upload.status();
  for (ExampleInput& example : examples) {
    const absl::Status status = (*upload)->Add(std::move(example));
    if (!status.ok()) return status;
  }
  return (*upload)->Commit(key);
}

void JobsFixture::MakeSealed(absl::string_view name,
                             std::vector<ExampleInput> examples) {
  AddWorker("sealer");
  ASSERT_TRUE(datasets_->Create(name, {}, {}).ok());
  const auto added = Upload(name, std::move(examples));
  ASSERT_TRUE(added.ok()) << added.status();
  ASSERT_TRUE(datasets_->Seal(name, {}).ok());
  const LeasedTask task = Lease("sealer");
  ASSERT_EQ(TaskName(task.job), absl::StrCat("validate-", name));
  const auto completed = reports_->Complete(task.lease_token, ValidateResult{});
  ASSERT_TRUE(completed.ok()) << completed.status();
}

void JobsFixture::MakePreferences(absl::string_view name) {
  MakeSealed(name, {Pair("p1", "a dog", "a cat"), Pair("p2", "a cat", "a dog"),
                    Clean("c1")});
}

ObjectiveRequest Objective(absl::string_view name, ObjectiveValues options) {
  return {FindObjective(name), std::move(options)};
}

TrainRequest JobsFixture::DpoOnRta() {
  TrainRequest request;
  request.dataset = "rta";
  request.base = "base";
  request.output_model = "robust";
  request.objective = Objective("dpo");
  return request;
}

storage::Job JobsFixture::CreateDpoJob() {
  const auto job = jobs_->CreateTrain(DpoOnRta(), {});
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *job : storage::Job{};
}

void JobsFixture::AddWorker(absl::string_view id) {
  const absl::Status status = workers_.Register(
      id, {WorkerRole::kTrain},
      {.kind = "cpu", .name = "test", .memory_bytes = 1}, "build");
  ASSERT_TRUE(status.ok()) << status;
}

void JobsFixture::RunExecutor() {
  absl::Notification done;
  ASSERT_TRUE(executor_.Submit([&] { done.Notify(); }));
  done.WaitForNotification();
}

absl::StatusOr<std::optional<LeasedTask>> JobsFixture::AskForTask(
    absl::string_view worker) {
  std::optional<absl::StatusOr<std::optional<LeasedTask>>> answer;
  const int64_t wait = leases_->WaitForTask(
      worker, absl::Seconds(1), [&](auto task) { answer = std::move(task); });
  RunExecutor();
  leases_->CancelWait(wait);
  if (!answer.has_value()) return absl::InternalError("no answer");
  return *std::move(answer);
}

LeasedTask JobsFixture::Lease(absl::string_view worker) {
  auto task = AskForTask(worker);
  EXPECT_TRUE(task.ok()) << task.status();
  if (!task.ok() || !task->has_value()) {
    ADD_FAILURE() << "no task for " << worker;
    return {};
  }
  return **std::move(task);
}

storage::Job JobsFixture::JobById(absl::string_view id) {
  storage::Job job;
  const absl::Status status = state_->Read([&](StateTransaction& transaction) {
    auto found = transaction.jobs().Get(id);
    if (found.ok()) job = *found;
    return found.status();
  });
  EXPECT_TRUE(status.ok()) << status;
  return job;
}

std::vector<std::string> JobsFixture::Events(absl::string_view id) {
  std::vector<std::string> messages;
  const auto events = jobs_->ListEvents(id, 0, 1'000);
  EXPECT_TRUE(events.ok()) << events.status();
  for (const storage::JobEvent& event : *events) {
    messages.push_back(event.message);
  }
  return messages;
}

std::string JobsFixture::Everything() {
  std::string text = absl::StrCat("blobs ", *blobs_->TotalBytes(), "\n");
  const absl::Status status = state_->Read([&](StateTransaction& transaction) {
    const auto datasets = *transaction.datasets().List("", 1'000);
    for (const storage::Dataset& dataset : datasets) {
      absl::StrAppend(&text, "dataset ", dataset.name, " ",
                      static_cast<int>(dataset.state), " ",
                      dataset.counts.total(), " ", dataset.image_bytes, " ",
                      *DatasetDigest(transaction, dataset), " ",
                      dataset.invalid_example_count, "\n");
    }
    storage::JobStore& jobs = transaction.jobs();
    for (int state = 1; state <= 9; ++state) {
      const auto in_state =
          *jobs.ListInState(static_cast<storage::JobState>(state), 1'000);
      for (const storage::Job& job : in_state) {
        absl::StrAppend(&text, "job ", job.id, " ", state, " ", job.attempt,
                        " ", job.failure_count, " ", job.step, " ",
                        job.total_steps, " ", job.status_message, " ",
                        job.worker_id, " ", job.lease_token_hash, " ",
                        jobs.ListEvents(job.id, 0, 1'000)->size(), " ",
                        jobs.ListMetrics(job.id, 0, 10'000)->size(), " ",
                        jobs.ListCheckpoints(job.id)->size(), "\n");
      }
    }
    const auto models = *transaction.models().List("", 1'000);
    for (const storage::Model& model : models) {
      absl::StrAppend(&text, "model ", model.name, " ", model.version_count);
      for (const auto& [alias, number] : model.aliases) {
        absl::StrAppend(&text, " ", alias, "=", number);
      }
      absl::StrAppend(&text, "\n");
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return text;
}

}  // namespace attune::core
