#ifndef ATTUNE_COMMON_FAILPOINT_H_
#define ATTUNE_COMMON_FAILPOINT_H_

#include "absl/strings/string_view.h"

namespace attune {

// A place where a test may have the process die as by SIGKILL: when the
// environment's ATTUNE_FAILPOINT is NAME, or NAME:N for the N-th time that it
// is reached. Does nothing in builds other than the preset dev and those of the
// sanitizers.
void Failpoint(absl::string_view name);

}  // namespace attune

#endif  // ATTUNE_COMMON_FAILPOINT_H_
