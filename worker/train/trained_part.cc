#include "worker/train/trained_part.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace attune::train {
namespace {

using Kind = TrainedPart::Kind;

FrozenBeginning Beginning(const TrainedPart& part, Kind other_tower,
                          int layers) {
  if (part.kind == other_tower || part.kind == Kind::kHead) {
    return {.any = true, .whole = true};
  }
  if (part.kind != Kind::kLastBlocks) return {};
  return {.any = true, .blocks = std::max(0, layers - part.last_blocks)};
}

// Whether a tensor, named without "visual.", lies in the beginning of its
// tower.
bool LiesIn(const FrozenBeginning& beginning, absl::string_view name) {
  if (!beginning.any || beginning.whole) return beginning.whole;
  if (absl::StartsWith(name, "ln_post") || absl::StartsWith(name, "ln_final") ||
      name == "proj" || name == "text_projection") {
    return false;
  }
  if (!absl::StartsWith(name, "transformer.resblocks.")) return true;
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  int block = 0;
  return absl::SimpleAtoi(parts[2], &block) && block < beginning.blocks;
}

}  // namespace

FrozenBeginning FrozenImageBeginning(const TrainedPart& part,
                                     const ClipConfig& clip) {
  return Beginning(part, Kind::kTextTower, clip.vision_layers);
}

FrozenBeginning FrozenTextBeginning(const TrainedPart& part,
                                    const ClipConfig& clip) {
  return Beginning(part, Kind::kImageTower, clip.text_layers);
}

std::set<std::string> FrozenNames(const TrainedPart& part,
                                  const ClipConfig& clip,
                                  const model::Tensors& tensors) {
  const FrozenBeginning image = FrozenImageBeginning(part, clip);
  const FrozenBeginning text = FrozenTextBeginning(part, clip);
  std::set<std::string> frozen;
  for (const auto& [name, tensor] : tensors) {
    if (name == "logit_scale" && part.kind != Kind::kHead) continue;
    absl::string_view rest = name;
    const bool is_image = absl::ConsumePrefix(&rest, "visual.");
    if (LiesIn(is_image ? image : text, rest)) frozen.insert(name);
  }
  return frozen;
}

}  // namespace attune::train
