#include "server/core/jobs/job_digest.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/server/core/jobs/job_manager_fixture.h"

namespace attune::core {
namespace {

TEST_F(JobManagerTest, TheConfigDigestChangesWithEveryInput) {
  const storage::TrainSpec spec;
  const std::string digest = ConfigDigest(spec, {"x", "y"});
  EXPECT_EQ(ConfigDigest(spec, {"x", "y"}), digest);
  EXPECT_NE(ConfigDigest(spec, {"y", "x"}), digest);
  storage::TrainSpec other = spec;
  other.optimizer.learning_rate *= 1 + 1e-15;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
  other = spec;
  other.epochs = 3;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
  other = spec;
  other.trained_part.kind = storage::TrainedKind::kImage;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
  other = spec;
  other.precision = storage::Precision::kAuto;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
}

TEST_F(JobManagerTest, AKnobAtItsDefaultLeavesTheDigestOfOlderJobs) {
  storage::EvaluateSpec spec;
  const std::string digest = ConfigDigest(spec, {});
  spec.t = 1;
  EXPECT_EQ(ConfigDigest(spec, {}), digest);
  spec.t = 0;
  EXPECT_NE(ConfigDigest(spec, {}), digest);
}

}  // namespace
}  // namespace attune::core
