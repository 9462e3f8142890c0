#include "client/commands/sweep_table.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

std::string StateName(const SweepRow& row) {
  if (row.state == v1::JOB_STATE_UNSPECIFIED) return "";
  return WithoutPrefix("JOB_STATE_", v1::JobState_Name(row.state));
}

// Figures in the order in which people ask: robust, then clean, then the rest.
std::vector<std::string> FigureNames(const std::vector<SweepRow>& rows) {
  std::set<std::string> present;
  for (const SweepRow& row : rows) {
    for (const auto& [name, value] : row.figures) present.insert(name);
  }
  std::vector<std::string> names;
  for (const char* name :
       {"attacked_top1", "attack_success", "pair_accuracy", "clean_top1"}) {
    if (present.erase(name) > 0) names.push_back(name);
  }
  names.insert(names.end(), present.begin(), present.end());
  return names;
}

std::optional<double> FigureOf(const SweepRow& row, const std::string& name) {
  const auto found = row.figures.find(name);
  if (found == row.figures.end()) return std::nullopt;
  return found->second;
}

// The swept options' names; the base's row has none.
std::vector<std::string> OptionNames(const std::vector<SweepRow>& rows) {
  std::vector<std::string> names;
  for (const auto& [name, value] : rows.back().values) names.push_back(name);
  return names;
}

void PrintJson(const std::vector<SweepRow>& rows,
               const std::vector<bool>& on_front, std::ostream& out) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    nlohmann::ordered_json options = nlohmann::ordered_json::object();
    for (const auto& [name, value] : rows[i].values) {
      // ".5" is a number to the command line and not to JSON.
      const auto number = nlohmann::ordered_json::parse(
          value, /*cb=*/nullptr, /*allow_exceptions=*/false);
      options[name] = number;
      if (number.is_discarded()) options[name] = value;
    }
    nlohmann::ordered_json figures = nlohmann::ordered_json::object();
    for (const std::string& name : FigureNames(rows)) {
      if (const auto value = FigureOf(rows[i], name)) figures[name] = *value;
    }
    list.push_back({{"options", options},
                    {"job_id", rows[i].job_id},
                    {"version", rows[i].version},
                    {"state", StateName(rows[i])},
                    {"figures", figures},
                    {"on_front", static_cast<bool>(on_front[i])}});
  }
  out << nlohmann::ordered_json{{"rows", list}}.dump() << '\n';
}

// For people or for programs, which get all digits.
std::string FormatFigure(std::optional<double> value, bool exact) {
  if (!value) return "";
  return exact ? nlohmann::json(*value).dump()
               : absl::StrFormat("%.4f", *value);
}

// A line a row under a header; what a row does not have is empty.
std::vector<std::vector<std::string>> MakeCells(
    const std::vector<SweepRow>& rows, const std::vector<bool>& on_front,
    bool exact) {
  const std::vector<std::string> options = OptionNames(rows);
  const std::vector<std::string> figures = FigureNames(rows);
  std::vector<std::vector<std::string>> cells(1, options);
  cells[0].insert(cells[0].end(), {"job_id", "version", "state"});
  cells[0].insert(cells[0].end(), figures.begin(), figures.end());
  cells[0].push_back(exact ? "on_front" : "front");
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string> line;
    for (const auto& [name, value] : rows[i].values) line.push_back(value);
    line.resize(options.size());
    line.insert(line.end(),
                {rows[i].job_id, rows[i].version, StateName(rows[i])});
    for (const std::string& name : figures) {
      line.push_back(FormatFigure(FigureOf(rows[i], name), exact));
    }
    if (exact) {
      line.push_back(on_front[i] ? "true" : "false");
    } else {
      line.push_back(on_front[i] ? "*" : "");
    }
    cells.push_back(std::move(line));
  }
  return cells;
}

}  // namespace

std::vector<bool> OnFront(const std::vector<SweepRow>& rows) {
  const auto robust = [&](const SweepRow& row) {
    const std::optional<double> attacked = FigureOf(row, "attacked_top1");
    return attacked ? attacked : FigureOf(row, "pair_accuracy");
  };
  std::vector<bool> on_front;
  for (const SweepRow& row : rows) {
    const std::optional<double> clean = FigureOf(row, "clean_top1");
    bool best = clean && robust(row);
    for (const SweepRow& other : rows) {
      if (!best) break;
      const std::optional<double> other_clean = FigureOf(other, "clean_top1");
      if (!other_clean || !robust(other)) continue;
      const bool as_good =
          *other_clean >= *clean && *robust(other) >= *robust(row);
      const bool better =
          *other_clean > *clean || *robust(other) > *robust(row);
      best = !(as_good && better);
    }
    on_front.push_back(best);
  }
  return on_front;
}

void PrintSweep(const std::vector<SweepRow>& rows, SweepFormat format,
                std::ostream& out) {
  const std::vector<bool> on_front = OnFront(rows);
  if (format == SweepFormat::kJson) return PrintJson(rows, on_front, out);
  std::vector<std::vector<std::string>> cells =
      MakeCells(rows, on_front, format == SweepFormat::kCsv);
  if (format == SweepFormat::kCsv) {
    for (const auto& line : cells) out << absl::StrJoin(line, ",") << '\n';
    return;
  }
  for (std::string& name : cells[0]) name = absl::AsciiStrToUpper(name);
  Table table(cells[0]);
  for (size_t i = 1; i < cells.size(); ++i) table.AddRow(cells[i]);
  table.Print(out);
}

}  // namespace attune::client
