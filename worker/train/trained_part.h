// Which tensors of a model a run trains.

#ifndef ATTUNE_WORKER_TRAIN_TRAINED_PART_H_
#define ATTUNE_WORKER_TRAIN_TRAINED_PART_H_

#include <set>
#include <string>

#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"

namespace attune::train {

// logit_scale belongs to every part but a head; TrainConfig::freeze_logit_scale
// takes it out.
struct TrainedPart {
  enum class Kind {
    kAll,
    kImageTower,
    kTextTower,
    // The last `last_blocks` residual blocks of both towers and what lies
    // after them: ln_post, ln_final and the projections. A tower with fewer
    // blocks trains all of them, its embeddings stay.
    kLastBlocks,
    // None of the base's: one matrix W on top of both towers, from the identity
    // (worker/model/linear_head.h).
    kHead,
  };
  Kind kind = Kind::kAll;
  // kLastBlocks: 1 to the blocks of the deeper tower.
  int last_blocks = 0;
};

// What of a tower stays as it is.
struct FrozenBeginning {
  // Whether anything does.
  bool any = false;
  // The whole tower: its embeddings are constants. Otherwise what enters the
  // first block and this many blocks: the states after them are constants.
  bool whole = false;
  int blocks = 0;
};
FrozenBeginning FrozenImageBeginning(const TrainedPart& part,
                                     const ClipConfig& clip);
FrozenBeginning FrozenTextBeginning(const TrainedPart& part,
                                    const ClipConfig& clip);

// The names of `tensors` that are not trained.
std::set<std::string> FrozenNames(const TrainedPart& part,
                                  const ClipConfig& clip,
                                  const model::Tensors& tensors);

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_TRAINED_PART_H_
