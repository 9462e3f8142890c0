#include "tests/worker/task/run_task_fixture.h"

#include <ATen/Parallel.h>

#include <vector>

#include "absl/status/status.h"
#include "common/grpc/channel.h"
#include "worker/model/init.h"

namespace attune::task {

RunTaskTest::RunTaskTest() {
  at::set_num_threads(1);
  server_.AddLease("lease");
  options_.device = "cpu";
  options_.decoder_program = ATTUNE_DECODER;
  options_.read_order = [] { return absl::CancelledError("none"); };
  options_.report_progress = [](const supervise::Progress&) {};
}

int RunTaskTest::Run(v1::Task task) {
  task.set_lease_token("lease");
  task.set_id("job-1");
  task.set_attempt(attempt_);
  return RunTask(ConnectTo(server_.address()), task, options_);
}

v1::Dataset RunTaskTest::MakeDataset(const std::string& name) {
  std::vector<v1::Example> examples;
  for (int i = 0; i < 4; ++i) {
    v1::Example example;
    example.set_id(i + 1);
    example.set_image_digest(server_.AddBlob(test::Picture(i)));
    example.mutable_pair()->set_preferred(i % 2 == 0 ? "a dog" : "a cat");
    example.mutable_pair()->set_rejected(i % 2 == 0 ? "a cat" : "a dog");
    examples.push_back(example);
  }
  v1::Example labelled;
  labelled.set_id(5);
  labelled.set_image_digest(server_.AddBlob(test::Picture(5)));
  labelled.mutable_labelled()->set_label("a dog");
  examples.push_back(labelled);
  v1::Example clean;
  clean.set_id(6);
  clean.set_image_digest(server_.AddBlob(test::Picture(6)));
  clean.mutable_clean();
  examples.push_back(clean);
  server_.AddExamples(name, examples);
  v1::Dataset dataset;
  dataset.set_name(name);
  dataset.add_candidates("a cat");
  dataset.add_candidates("a dog");
  return dataset;
}

v1::Task RunTaskTest::TrainTask(int steps) {
  v1::Task task;
  v1::TrainTask* train = task.mutable_train();
  *train->mutable_dataset() = MakeDataset("set");
  *train->mutable_base() = test::StoreVersion(server_, "base:1", config_,
                                              model::RandomTensors(config_, 1));
  train->set_config_digest("config");
  v1::TrainSpec* spec = train->mutable_spec();
  spec->mutable_dpo()->set_beta(1);
  spec->mutable_dpo()->set_kl_weight(1);
  spec->mutable_optimizer()->set_kind(v1::Optimizer::KIND_ADAMAX);
  spec->mutable_optimizer()->set_learning_rate(1e-2);
  spec->mutable_optimizer()->set_schedule(v1::Optimizer::SCHEDULE_COSINE);
  spec->set_steps(steps);
  spec->set_batch_size(2);
  spec->set_seed(3);
  spec->set_freeze_logit_scale(true);
  spec->set_average(true);
  spec->set_checkpoint_every(2);
  return task;
}

std::string DigestOf(const v1::TensorManifest& manifest,
                     const std::string& name) {
  for (const v1::TensorEntry& entry : manifest.tensors()) {
    if (entry.name() == name) return entry.blob_digest();
  }
  return "";
}

}  // namespace attune::task
