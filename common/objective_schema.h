// What the program knows of an objective without computing it: read from the
// API's messages (common/grpc/objective_codec.h), used where protos are not.

#ifndef ATTUNE_COMMON_OBJECTIVE_SCHEMA_H_
#define ATTUNE_COMMON_OBJECTIVE_SCHEMA_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace attune {

// Values of options by their field's name, such as "kl_weight".
using ObjectiveValues = std::map<std::string, double>;

// The option that every objective has: λ of  objective + λ · KL.
inline constexpr char kKlWeight[] = "kl_weight";

struct OptionSchema {
  std::string name;
  double default_value = 0;
  // Bounds beside "finite".
  std::optional<double> above;
  std::optional<double> at_least;
  std::optional<double> below;
  std::string help;
};

struct ObjectiveSchema {
  enum class Stream { kPairs, kCaptions };

  // Of its field in TrainSpec, such as "dpo", and as in papers.
  std::string name;
  std::string title;
  Stream stream = Stream::kPairs;
  bool average = false;
  bool over_candidates = false;
  bool needs_clean_examples = false;
  bool whole_batch = false;
  // Published values of the optimizer; Adamax unless `adamw`.
  bool adamw = false;
  double learning_rate = 0;
  double weight_decay = 0;
  std::vector<OptionSchema> options;

  // `values`, and the default of every option that they lack.
  ObjectiveValues WithDefaults(ObjectiveValues values) const {
    for (const OptionSchema& option : options) {
      values.try_emplace(option.name, option.default_value);
    }
    return values;
  }
};

}  // namespace attune

#endif  // ATTUNE_COMMON_OBJECTIVE_SCHEMA_H_
