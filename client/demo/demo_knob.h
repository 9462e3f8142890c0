// The demo's second part: a concept, here colour, is put on a knob. A linear
// head on top of the frozen towers is trained to prefer the wrong one of red
// and blue; its version then tells them apart as the base does (t = 0), less
// (t > 0) or more (t < 0), and still knows the shapes.

#ifndef ATTUNE_CLIENT_DEMO_DEMO_KNOB_H_
#define ATTUNE_CLIENT_DEMO_DEMO_KNOB_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/attune_client.h"
#include "client/demo/demo.h"

namespace attune::client {

// What the version answers at one t.
struct DemoKnobPoint {
  double t = 0;
  // Over red and blue objects: how much larger the logit of "a photo of a red
  // ball" is than that of "a photo of a blue ball" for a red ball, mean.
  double margin = 0;
  // Over the same: the share with a margin above 0.
  double told_apart = 0;
  // Over objects of all colours: the share whose shape is right among the
  // prompts without a colour.
  double class_top1 = 0;
};

struct DemoKnob {
  std::string job_id;
  std::string version;  // NAME:N
  // By ascending t, from -1 to 2.
  std::vector<DemoKnobPoint> points;
};

// Trains the head on the base that RunDemo has left and asks its version for
// answers at every t. Needs a worker that serves. Errors are the server's;
// those of DemoSteps; PICTURE_UNANSWERED, INTERNAL, for a picture that the
// server could not answer.
absl::StatusOr<DemoKnob> RunDemoKnob(AttuneClient& client,
                                     const DemoOptions& options,
                                     const DemoObserver& observer);

// What one picture says about a point; `logits` are in the order of
// ColorPrompts().
struct ColorAnswer {
  double margin = 0;  // 0 for an object that is neither red nor blue
  bool class_right = false;
};
ColorAnswer ReadColorAnswer(const std::vector<double>& logits, int class_index,
                            int color);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DEMO_DEMO_KNOB_H_
