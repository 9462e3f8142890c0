#ifndef ATTUNE_TESTS_COMMON_STATISTICS_GOLDEN_H_
#define ATTUNE_TESTS_COMMON_STATISTICS_GOLDEN_H_

#include <fstream>
#include <nlohmann/json.hpp>

namespace attune::statistics {

// What tests/golden/generate_statistics.py has written.
inline nlohmann::json Golden() {
  std::ifstream file(ATTUNE_GOLDEN_STATISTICS);
  return nlohmann::json::parse(file);
}

}  // namespace attune::statistics

#endif  // ATTUNE_TESTS_COMMON_STATISTICS_GOLDEN_H_
