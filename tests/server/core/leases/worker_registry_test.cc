#include "server/core/leases/worker_registry.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const WorkerDevice kCpu = {.kind = "cpu", .name = "Xeon", .memory_bytes = 8};

class WorkerRegistryTest : public testing::Test {
 protected:
  FakeClock clock_;
  WorkerRegistry registry_{clock_, absl::Seconds(30)};
};

TEST_F(WorkerRegistryTest, AWorkerIsIdleThenBusyThenLostThenForgotten) {
  ASSERT_THAT(registry_.Register("w", {WorkerRole::kTrain}, kCpu, "1.0"),
              IsOk());
  ASSERT_THAT(registry_.List(), SizeIs(1));
  EXPECT_EQ(registry_.List()[0].state, WorkerState::kIdle);
  registry_.SetTask("w", "job-1");
  EXPECT_EQ(registry_.List()[0].state, WorkerState::kBusy);
  clock_.Advance(absl::Seconds(31));
  EXPECT_EQ(registry_.List()[0].state, WorkerState::kLost);
  EXPECT_FALSE(registry_.HasWorker(WorkerRole::kTrain));
  ASSERT_THAT(registry_.Touch("w"), IsOk());
  EXPECT_EQ(registry_.List()[0].state, WorkerState::kBusy);
  EXPECT_TRUE(registry_.HasWorker(WorkerRole::kTrain));
  EXPECT_FALSE(registry_.HasWorker(WorkerRole::kServe));
  clock_.Advance(absl::Hours(2));
  EXPECT_THAT(registry_.List(), IsEmpty());
}

TEST_F(WorkerRegistryTest, LoadedVersionsAreShown) {
  ASSERT_THAT(registry_.Register("w", {WorkerRole::kServe}, kCpu, ""), IsOk());
  registry_.SetLoadedVersions("w", {"base:1"});
  EXPECT_THAT(registry_.List()[0].loaded_versions, ElementsAre("base:1"));
}

TEST_F(WorkerRegistryTest, AnUnknownWorkerMustRegister) {
  EXPECT_THAT(registry_.Touch("w"),
              HasError(absl::StatusCode::kNotFound, "WORKER_UNKNOWN"));
  registry_.SetTask("w", "job-1");
  EXPECT_THAT(registry_.List(), IsEmpty());
}

TEST_F(WorkerRegistryTest, BadRegistrationsAreRefused) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  for (const std::string& id : {std::string(), std::string("a b"),
                                std::string(129, 'a'), std::string("a\n")}) {
    EXPECT_THAT(registry_.Register(id, {WorkerRole::kTrain}, kCpu, ""),
                HasError(kInvalid, "INVALID_FIELD"));
  }
  EXPECT_THAT(registry_.Register("w", {}, kCpu, ""),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(
      registry_.Register("w", {WorkerRole::kTrain},
                         {.kind = "tpu", .name = "", .memory_bytes = 0}, ""),
      HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(registry_.List(), IsEmpty());
}

}  // namespace
}  // namespace attune::core
