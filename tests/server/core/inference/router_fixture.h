#ifndef ATTUNE_TESTS_SERVER_CORE_INFERENCE_ROUTER_FIXTURE_H_
#define ATTUNE_TESTS_SERVER_CORE_INFERENCE_ROUTER_FIXTURE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "gtest/gtest.h"
#include "server/core/inference/router.h"
#include "tests/server/core/fake_timers.h"

namespace attune::core {

// A version of two-dimensional embeddings.
inline std::shared_ptr<const ServedVersion> MakeVersion(
    const std::string& name) {
  auto version = std::make_shared<ServedVersion>();
  version->version.model = name;
  version->version.number = 1;
  version->version.digest = "digest-" + name;
  version->version.config.embedding_size = 2;
  return version;
}

inline std::vector<InferenceInput> Images(int count,
                                          const std::string& name = "i") {
  std::vector<InferenceInput> images;
  for (int i = 0; i < count; ++i) {
    images.push_back({.image = absl::StrCat(name, i), .tokens = {}});
  }
  return images;
}

// Writes down what it is sent.
class FakeLink : public WorkerLink {
 public:
  struct Sent {
    int64_t id;
    std::string digest;
    std::vector<std::string> images;
  };

  void SendLoad(const ServedVersion& version) override {
    loads.push_back(version.version.digest);
  }
  void SendUnload(const std::string& digest) override {
    unloads.push_back(digest);
  }
  void SendBatch(const InferenceBatch& batch) override {
    Sent sent{batch.id, batch.version->version.digest, {}};
    for (const InferenceItem& item : batch.items) {
      sent.images.push_back(item.input.image);
    }
    batches.push_back(std::move(sent));
  }

  std::vector<std::string> loads;
  std::vector<std::string> unloads;
  std::vector<Sent> batches;
};

class RouterTest : public testing::Test {
 protected:
  using Result = std::optional<absl::StatusOr<Embeddings>>;

  int64_t AddWorker(FakeLink& link, int slots = 1, int batch_size = 4) {
    return router_.AddWorker({.id = "w",
                              .device = "cpu",
                              .version_slots = slots,
                              .preferred_batch_size = batch_size},
                             &link);
  }

  Router::Ticket Submit(const std::shared_ptr<const ServedVersion>& version,
                        std::vector<InferenceInput> inputs, Result* result,
                        absl::Duration timeout = absl::Seconds(30)) {
    return router_.Submit(version, InputKind::kImage, std::move(inputs),
                          timeout, [result](absl::StatusOr<Embeddings> answer) {
                            ASSERT_FALSE(result->has_value()) << "twice";
                            *result = std::move(answer);
                          });
  }

  // Outlives the router's callbacks.
  Result& NewResult() { return results_.emplace_back(); }

  // Answers a batch: item i gets (100 · batch + i, 0).
  absl::Status AnswerBatch(int64_t session, const FakeLink::Sent& batch) {
    BatchAnswer answer;
    answer.batch_id = batch.id;
    for (size_t i = 0; i < batch.images.size(); ++i) {
      answer.embeddings.push_back(static_cast<float>(100 * batch.id + i));
      answer.embeddings.push_back(0);
    }
    return router_.OnBatchAnswer(session, answer);
  }

  std::deque<Result> results_;
  FakeClock clock_;
  FakeTimers timers_{clock_};
  Router router_{RouterOptions{}, clock_, timers_, Metrics::None()};
  std::shared_ptr<const ServedVersion> base_ = MakeVersion("base");
  std::shared_ptr<const ServedVersion> other_ = MakeVersion("other");
};

}  // namespace attune::core

#endif  // ATTUNE_TESTS_SERVER_CORE_INFERENCE_ROUTER_FIXTURE_H_
