// What the readers of a CLIP's layout say when something is wrong.

#ifndef ATTUNE_COMMON_SAFETENSORS_CLIP_ERROR_H_
#define ATTUNE_COMMON_SAFETENSORS_CLIP_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/error.h"

namespace attune {

// INVALID_ARGUMENT, reason INVALID_CLIP.
inline absl::Status InvalidClip(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_CLIP", message);
}

// INVALID_ARGUMENT, reason UNSUPPORTED_TOWER: a CLIP, but none that is
// computed here.
inline absl::Status UnsupportedTower(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "UNSUPPORTED_TOWER",
               message);
}

// A name out of a file, fit for a message.
inline std::string QuotedName(absl::string_view text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, 100)), "'");
}

}  // namespace attune

#endif  // ATTUNE_COMMON_SAFETENSORS_CLIP_ERROR_H_
