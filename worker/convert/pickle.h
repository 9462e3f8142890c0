// Python's pickle format, read as data.
//
// A pickle is a program for a small stack machine that may call any function
// of any Python module. Here nothing is ever called and no name is looked up:
// a call becomes a value that says what would have been called with what, and
// whoever reads the result decides what it means. So a file from a stranger
// can at worst be refused.
// https://docs.python.org/3/library/pickletools.html

#ifndef ATTUNE_WORKER_CONVERT_PICKLE_H_
#define ATTUNE_WORKER_CONVERT_PICKLE_H_

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attune::convert {

struct PickleValue {
  enum class Kind {
    kNone,
    // `integer`.
    kBool,
    kInteger,
    // Numbers and bytes that nobody here needs: their value is dropped.
    kOther,
    // `text`.
    kText,
    // `items`; sets too.
    kTuple,
    kList,
    // `entries`; collections.OrderedDict too.
    kDict,
    // The name of a class or function, "module.name", in `text`.
    kName,
    // What `text` made of the arguments `items`; its attributes and, where it
    // acts as a dictionary, its keys in `entries`.
    kObject,
    // Something kept outside the pickle, described by items[0].
    kPersistent,
  };
  using Entry = std::pair<const PickleValue*, const PickleValue*>;

  Kind kind = Kind::kNone;
  int64_t integer = 0;
  std::string text;
  std::vector<const PickleValue*> items;
  std::vector<Entry> entries;

  // The value of a text key; null when there is none.
  const PickleValue* Find(absl::string_view key) const;
};

// A pickle's values. They may contain each other in circles.
class Pickle {
 public:
  // Longer pickles, and more values, are refused: a checkpoint's names and
  // shapes need a thousandth.
  static constexpr int64_t kMaxBytes = 64 << 20;
  static constexpr size_t kMaxValues = 4'000'000;

  // INVALID_ARGUMENT, reason INVALID_PICKLE, when the bytes are no pickle of
  // protocol 2 or later, or are too many.
  static absl::StatusOr<Pickle> Read(absl::string_view bytes);

  const PickleValue& root() const { return *root_; }

 private:
  Pickle() = default;

  // Owns every value, so that a value needs no care for what it contains.
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
};

}  // namespace attune::convert

#endif  // ATTUNE_WORKER_CONVERT_PICKLE_H_
