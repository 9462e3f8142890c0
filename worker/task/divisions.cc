#include "worker/task/divisions.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "worker/task/example_set.h"

namespace attune::task {
namespace {

constexpr size_t kMinGroups = 2;
constexpr size_t kMaxGroups = 50;
constexpr int64_t kMinGroupSize = 2;
constexpr size_t kMaxClasses = 1'000;

// Texts are never empty, so "" is none.
std::string ClassOf(const v1::Example& example) {
  if (example.has_labelled()) return example.labelled().label();
  if (example.has_pair()) return example.pair().preferred();
  return "";
}

// "" is none here too: a blank value does not make a group.
std::string ValueOf(const v1::Example& example, const std::string& attribute) {
  const auto found = example.attributes().find(attribute);
  return found == example.attributes().end() ? "" : found->second;
}

// With the names in alphabetical order.
evaluate::Division Divide(
    const std::vector<const v1::Example*>& rows, const std::string& attribute,
    const std::function<std::string(const v1::Example&)>& name_of) {
  std::map<std::string, int64_t> numbers;
  std::vector<std::string> names;
  for (const v1::Example* row : rows) {
    names.push_back(name_of(*row));
    if (!names.back().empty()) numbers[names.back()] = 0;
  }
  evaluate::Division division = {
      .attribute = attribute, .names = {}, .part_of_row = {}};
  for (auto& [name, number] : numbers) {
    number = static_cast<int64_t>(division.names.size());
    division.names.push_back(name);
  }
  for (const std::string& name : names) {
    division.part_of_row.push_back(name.empty() ? -1 : numbers[name]);
  }
  return division;
}

}  // namespace

std::vector<std::string> GroupAttributes(
    const std::vector<v1::Example>& examples,
    const std::vector<std::string>& named) {
  if (!named.empty()) return named;
  std::map<std::string, std::map<std::string, int64_t>> sizes;
  for (const v1::Example& example : examples) {
    for (const auto& [attribute, value] : example.attributes()) {
      if (!value.empty()) ++sizes[attribute][value];
    }
  }
  std::vector<std::string> attributes;
  for (const auto& [attribute, groups] : sizes) {
    const bool fits =
        groups.size() >= kMinGroups && groups.size() <= kMaxGroups &&
        std::all_of(groups.begin(), groups.end(), [](const auto& group) {
          return group.second >= kMinGroupSize;
        });
    if (fits) attributes.push_back(attribute);
  }
  return attributes;
}

bool HasAny(const v1::Example& example,
            const std::vector<std::string>& attributes) {
  return std::any_of(attributes.begin(), attributes.end(),
                     [&](const std::string& attribute) {
                       return !ValueOf(example, attribute).empty();
                     });
}

std::vector<evaluate::Division> MakeDivisions(
    const std::vector<const v1::Example*>& rows,
    const std::vector<std::string>& attributes) {
  std::vector<evaluate::Division> divisions;
  evaluate::Division classes = Divide(rows, "", ClassOf);
  if (classes.names.size() >= 2 && classes.names.size() <= kMaxClasses) {
    divisions.push_back(std::move(classes));
  }
  for (const std::string& attribute : attributes) {
    divisions.push_back(
        Divide(rows, attribute, [&attribute](const v1::Example& example) {
          return ValueOf(example, attribute);
        }));
  }
  return divisions;
}

}  // namespace attune::task
