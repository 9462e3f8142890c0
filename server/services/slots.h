#ifndef ATTUNE_SERVER_SERVICES_SLOTS_H_
#define ATTUNE_SERVER_SERVICES_SLOTS_H_

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/error.h"

namespace attune::services {

// How many streams of a kind may be open at a time: each holds memory.
// Thread-safe.
class Slots {
 public:
  struct GiveBack {
    void operator()(Slots* slots) const { slots->taken_.fetch_sub(1); }
  };
  // Gives its slot back when it is destroyed.
  using Slot = std::unique_ptr<Slots, GiveBack>;

  // `flag` sets the number and is named in errors.
  Slots(absl::string_view flag, int size) : flag_(flag), size_(size) {}

  // RESOURCE_EXHAUSTED, reason TOO_MANY_STREAMS, with a delay after which
  // another try makes sense.
  absl::Status Take(Slot* slot) {
    Slot taken(this);
    if (taken_.fetch_add(1) < size_) {
      *slot = std::move(taken);
      return absl::OkStatus();
    }
    return WithRetryDelay(
        Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_STREAMS",
              absl::StrCat("the server has ", size_,
                           " such streams open, as many as --", flag_,
                           " allows: try again when one has ended")),
        absl::Seconds(1));
  }

 private:
  const absl::string_view flag_;
  const int size_;
  std::atomic<int> taken_ = 0;
};

// Of the streams that users open; workers' are bounded by their leases.
struct StreamSlots {
  Slots uploads;
  Slots downloads;
  Slots watches;
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_SLOTS_H_
