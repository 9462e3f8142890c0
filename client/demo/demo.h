// Attune's main job on pictures that it draws itself: a tiny CLIP is trained,
// is fooled by written words, is aligned, and is fooled less. Everything goes
// through the public API, as any client's would.

#ifndef ATTUNE_CLIENT_DEMO_DEMO_H_
#define ATTUNE_CLIENT_DEMO_DEMO_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/attune_client.h"

namespace attune::client {

struct DemoOptions {
  // First part of the names of everything that the demo makes.
  std::string prefix;
  // Of pictures, data order and the random model that it starts from.
  uint64_t seed = 0;
  int64_t pretrain_pictures = 24'000;
  int64_t pretrain_steps = 2'000;
  int64_t pairs = 3'072;
  int64_t align_epochs = 4;
  // Pictures in each of the six parts of the tests.
  int64_t test_pictures = 600;
  // What the base is aligned with, of DemoObjectives().
  std::vector<std::string> objectives;
  // Also the second part, RunDemoKnob.
  bool knob = true;
};

// "ce", "dpo", "ipo", "kto": cross-entropy as the baseline, and the paper's.
const std::vector<std::string>& DemoObjectives();

// How one version does, shares in [0, 1]. "Unseen" are classes and words that
// the pairs never show; the unseen font has seen words.
struct DemoRow {
  std::string name;     // "base" or the objective
  std::string version;  // NAME:N
  std::string job_id;   // of the alignment; empty for the base
  // Of all classes, each counting alike.
  double clean_top1 = 0;
  double clean_top1_unseen = 0;
  double attacked_top1_seen = 0;
  double attacked_top1_unseen = 0;
  double attacked_top1_unseen_font = 0;
  double attack_success = 0;  // seen
  double attack_success_unseen = 0;
  double attack_success_unseen_font = 0;
  // Words alone that are read.
  double reading_top1 = 0;
};

// How the demo tells what it does.
struct DemoObserver {
  // A sentence.
  std::function<void(absl::string_view)> say;
  // An upload's progress.
  TransferProgress transfer;
  // Shows a job until it ends and returns it.
  std::function<absl::StatusOr<v1::Job>(const std::string& id)> watch;
};

// Runs the demo from the safetensors file of a random tiny model and returns
// the row "base" and one for each objective. Errors are the server's;
// JOB_FAILED, FAILED_PRECONDITION, names a job that did not succeed.
absl::StatusOr<std::vector<DemoRow>> RunDemo(AttuneClient& client,
                                             const DemoOptions& options,
                                             const std::string& random_model,
                                             const DemoObserver& observer);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DEMO_DEMO_H_
