// Sequences of what users and workers do, over in-memory databases: whatever
// the order, the invariants of docs/reliability.md hold after every step. Two
// bytes are a step: what, and on which of few things.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/jobs/job_state.h"
#include "storage/verification.h"
#include "tests/fuzz/fuzz.h"
#include "tests/server/core/jobs_fixture.h"

namespace attune::core {
namespace {

using storage::Job;
using storage::JobState;

// A step may fail, but not by an error of the server's own.
void Allow(const absl::Status& status) {
  fuzz::Require(!absl::IsInternal(status) && !absl::IsUnknown(status) &&
                    !absl::IsDataLoss(status),
                status.ToString());
}

class Sequence : public JobsFixture {
 public:
  Sequence() {
    AddBase();
    AddWorker("w0");
    AddWorker("w1");
  }
  void TestBody() override {}

  void Step(uint8_t what, uint8_t which) {
    const std::string dataset = absl::StrCat("d", which % 3);
    const std::string worker = absl::StrCat("w", which % 2);
    switch (what % 14) {
      case 0:
        return Allow(datasets_->Create(dataset, {}, {}).status());
      case 1:
        return Allow(
            Upload(dataset, {Pair(absl::StrCat(which), "a dog", "a cat"),
                             Clean(absl::StrCat("c", which))})
                .status());
      case 2:
        return Allow(datasets_->Seal(dataset, {}).status());
      case 3:
        return Allow(datasets_->Delete(dataset, {}));
      case 4:
        return Allow(datasets_->DropInvalid(dataset, {}).status());
      case 5: {
        TrainRequest request = DpoOnRta();
        request.dataset = dataset;
        return Allow(jobs_->CreateTrain(request, {}).status());
      }
      case 6:
        return Ask(worker);
      case 7:
        return Complete(which);
      case 8:
        clock_.Advance(absl::Seconds(which % 64));
        return Allow(leases_->Tick());
      case 9:
        return CancelOne(which);
      case 10:
        if (tokens_.empty()) return;
        return Allow(leases_->Heartbeat(Token(which), which % 20, 20).status());
      case 11:
        AddWorker(worker);
        return;
      case 12:
        return Allow(datasets_->Get(dataset).status());
      default:
        clock_.Advance(absl::Hours(which % 30));
        return Allow(leases_->Tick());
    }
  }

  void CheckInvariants() {
    std::map<std::string, JobState> states;
    const absl::Status read =
        state_->Read([&](storage::StateTransaction& transaction) {
          for (int i = 1; i <= static_cast<int>(JobState::kCancelled); ++i) {
            const auto jobs = transaction.jobs().ListInState(
                static_cast<JobState>(i), 10'000);
            if (!jobs.ok()) return jobs.status();
            for (const Job& job : *jobs) states[job.id] = job.state;
          }
          return absl::OkStatus();
        });
    fuzz::Require(read.ok(), read.ToString());
    for (const auto& [id, state] : last_states_) {
      fuzz::Require(states.count(id) == 1, "a job that was made is there");
      if (storage::IsTerminal(state)) {
        fuzz::Require(states[id] == state, "a terminal state is final");
      }
    }
    last_states_ = std::move(states);
    const auto verified = storage::VerifyBlobs(*state_, *blobs_);
    fuzz::Require(verified.ok(), verified.status().ToString());
  }

 private:
  void Ask(const std::string& worker) {
    const auto task = AskForTask(worker);  // an error when there is none
    if (task.ok() && task->has_value()) {
      tokens_.push_back((*task)->lease_token);
    }
  }

  const std::string& Token(uint8_t which) {
    return tokens_[which % tokens_.size()];
  }

  void Complete(uint8_t which) {
    if (tokens_.empty()) return;
    if (which % 4 == 0) {
      return Allow(
          reports_->Complete(Token(which), ValidateResult{{{1, "is cut"}}, 1})
              .status());
    }
    Allow(reports_->Complete(Token(which), ValidateResult{}).status());
  }

  void CancelOne(uint8_t which) {
    if (last_states_.empty()) return;
    auto job = last_states_.begin();
    std::advance(job, which % last_states_.size());
    Allow(jobs_->Cancel(job->first, {}).status());
  }

  // Of all leases so far, dead ones too.
  std::vector<std::string> tokens_;
  std::map<std::string, JobState> last_states_;
};

}  // namespace
}  // namespace attune::core

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxSteps = 200;
  attune::core::Sequence sequence;
  for (size_t i = 0; i + 1 < size && i / 2 < kMaxSteps; i += 2) {
    sequence.Step(data[i], data[i + 1]);
    sequence.CheckInvariants();
  }
  return 0;
}
