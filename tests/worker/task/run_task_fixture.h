// Whole tasks against a fake server.

#ifndef ATTUNE_TESTS_WORKER_TASK_RUN_TASK_FIXTURE_H_
#define ATTUNE_TESTS_WORKER_TASK_RUN_TASK_FIXTURE_H_

#include <string>

#include "attune/v1/dataset_service.pb.h"
#include "attune/v1/worker_service.pb.h"
#include "common/safetensors/clip_layout.h"
#include "gtest/gtest.h"
#include "tests/worker/content/small_clip.h"
#include "tests/worker/fake_server/fake_server.h"
#include "worker/task/run_task.h"

namespace attune::task {

class RunTaskTest : public testing::Test {
 protected:
  RunTaskTest();

  int Run(v1::Task task);

  // Four pairs, a labelled and a clean example.
  v1::Dataset MakeDataset(const std::string& name);

  // DPO on "set" from "base:1" with an average; a checkpoint every second
  // step.
  v1::Task TrainTask(int steps);

  test::FakeServer server_;
  const ClipConfig config_ = test::SmallClipConfig();
  TaskOptions options_;
  int attempt_ = 1;
};

// The blob of a manifest's tensor; "" without one of that name.
std::string DigestOf(const v1::TensorManifest& manifest,
                     const std::string& name);

}  // namespace attune::task

#endif  // ATTUNE_TESTS_WORKER_TASK_RUN_TASK_FIXTURE_H_
