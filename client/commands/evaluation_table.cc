#include "client/commands/evaluation_table.h"

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

// One figure of both versions; pointers into an evaluation.
struct Line {
  const v1::Figure* model = nullptr;
  const v1::Figure* against = nullptr;
  const v1::FigureComparison* comparison = nullptr;

  std::optional<double> Difference() const {
    if (comparison != nullptr) return comparison->difference().value();
    if (against == nullptr) return std::nullopt;
    return model->value() - against->value();
  }
};

using Key =
    std::tuple<std::string, std::string, std::string, std::string, std::string>;

Key KeyOf(const v1::Figure& figure) {
  return {figure.name(), figure.class_label(), figure.attribute(),
          figure.group(), figure.candidate()};
}

std::vector<Line> LinesOf(const v1::Evaluation& evaluation) {
  std::vector<Line> lines;
  std::map<Key, size_t> at;
  for (const auto* figures :
       {&evaluation.figures(), &evaluation.part_figures()}) {
    for (const v1::Figure& figure : *figures) {
      at[KeyOf(figure)] = lines.size();
      lines.push_back({.model = &figure});
    }
  }
  for (const auto* figures :
       {&evaluation.against_figures(), &evaluation.against_part_figures()}) {
    for (const v1::Figure& figure : *figures) {
      const auto found = at.find(KeyOf(figure));
      if (found != at.end()) lines[found->second].against = &figure;
    }
  }
  for (const v1::FigureComparison& comparison : evaluation.comparisons()) {
    const auto found = at.find(KeyOf(comparison.difference()));
    if (found != at.end()) lines[found->second].comparison = &comparison;
  }
  return lines;
}

// A table whose empty columns are left out.
class FigureTable {
 public:
  // `leading`: headers of the columns that say which figure it is.
  FigureTable(const v1::Evaluation& evaluation,
              std::vector<std::string> leading)
      : header_(std::move(leading)) {
    for (const std::string& name :
         {MeasuredVersion(evaluation), std::string("95 %"),
          evaluation.against(), std::string("95 %"), std::string("DIFFERENCE"),
          std::string("95 %"), std::string("P"), std::string("COUNT")}) {
      header_.push_back(name);
    }
  }

  void Add(std::vector<std::string> cells, const Line& line) {
    const std::optional<double> difference = line.Difference();
    const v1::Figure* compared =
        line.comparison == nullptr ? nullptr : &line.comparison->difference();
    cells.push_back(absl::StrFormat("%.4f", line.model->value()));
    cells.push_back(IntervalOf(line.model));
    cells.push_back(line.against == nullptr
                        ? ""
                        : absl::StrFormat("%.4f", line.against->value()));
    cells.push_back(IntervalOf(line.against));
    cells.push_back(difference ? absl::StrFormat("%+.4f", *difference) : "");
    cells.push_back(compared == nullptr || !compared->has_low()
                        ? ""
                        : absl::StrFormat("[%+.3f, %+.3f]", compared->low(),
                                          compared->high()));
    cells.push_back(line.comparison != nullptr && line.comparison->has_p_value()
                        ? absl::StrFormat("%.3g", line.comparison->p_value())
                        : "");
    cells.push_back(absl::StrCat(line.model->count()));
    rows_.push_back(std::move(cells));
  }

  bool empty() const { return rows_.empty(); }

  void Print(std::ostream& out) const {
    std::vector<size_t> used;
    for (size_t c = 0; c < header_.size(); ++c) {
      for (const std::vector<std::string>& row : rows_) {
        if (row[c].empty()) continue;
        used.push_back(c);
        break;
      }
    }
    const auto pick = [&used](const std::vector<std::string>& cells) {
      std::vector<std::string> picked;
      for (const size_t c : used) picked.push_back(cells[c]);
      return picked;
    };
    Table table(pick(header_));
    for (const std::vector<std::string>& row : rows_) table.AddRow(pick(row));
    table.Print(out);
  }

 private:
  static std::string IntervalOf(const v1::Figure* figure) {
    if (figure == nullptr || !figure->has_low()) return "";
    return absl::StrFormat("[%.3f, %.3f]", figure->low(), figure->high());
  }

  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

bool IsWhole(const v1::Figure& figure) {
  return figure.class_label().empty() && figure.group().empty();
}

void PrintText(const v1::Evaluation& evaluation, bool tables,
               std::ostream& out) {
  const std::vector<Line> lines = LinesOf(evaluation);
  FigureTable whole(evaluation, {"FIGURE"});
  FigureTable by_class(evaluation, {"CLASS", "FIGURE"});
  std::map<std::string, FigureTable> by_attribute;
  for (const Line& line : lines) {
    const v1::Figure& figure = *line.model;
    if (IsWhole(figure)) {
      whole.Add({figure.attribute().empty()
                     ? figure.name()
                     : absl::StrCat(figure.name(), " by ", figure.attribute())},
                line);
    } else if (!figure.class_label().empty()) {
      by_class.Add({figure.class_label(), figure.name()}, line);
    } else {
      by_attribute
          .try_emplace(figure.attribute(), evaluation,
                       std::vector<std::string>{"GROUP", "FIGURE", "CANDIDATE"})
          .first->second.Add(
              {figure.group(), figure.name(), figure.candidate()}, line);
    }
  }
  whole.Print(out);
  if (!tables) return;
  if (!by_class.empty()) {
    out << "\nBy class:\n";
    by_class.Print(out);
  }
  for (const auto& [attribute, table] : by_attribute) {
    out << "\nBy " << attribute << ":\n";
    table.Print(out);
  }
}

void PrintCsv(const v1::Evaluation& evaluation, std::ostream& out) {
  const auto numbers = [](const v1::Figure* figure) -> std::string {
    if (figure == nullptr) return ",,";
    return absl::StrCat(ExactNumber(figure->value()), ",",
                        figure->has_low() ? ExactNumber(figure->low()) : "",
                        ",",
                        figure->has_high() ? ExactNumber(figure->high()) : "");
  };
  for (const Line& line : LinesOf(evaluation)) {
    const v1::Figure& figure = *line.model;
    std::string difference = ",,,,,";
    if (line.comparison != nullptr) {
      difference = absl::StrCat(numbers(&line.comparison->difference()), ",",
                                line.comparison->only_model(), ",",
                                line.comparison->only_against(), ",",
                                line.comparison->has_p_value()
                                    ? ExactNumber(line.comparison->p_value())
                                    : "");
    }
    out << evaluation.job_id() << ',' << evaluation.dataset() << ','
        << evaluation.model() << ',' << evaluation.against() << ','
        << figure.name() << ',' << CsvText(figure.class_label()) << ','
        << CsvText(figure.attribute()) << ',' << CsvText(figure.group()) << ','
        << CsvText(figure.candidate()) << ',' << figure.count() << ','
        << numbers(line.model) << ',' << numbers(line.against) << ','
        << difference << ','
        << (evaluation.has_t() ? ExactNumber(evaluation.t()) : "") << '\n';
  }
}

}  // namespace

void AddEvaluationFormat(CLI::App& command, EvaluationFormat& format) {
  command.add_flag("--tables", format.tables,
                   "Also the tables by class, group and candidate");
  command.add_flag("--csv", format.csv,
                   "All figures and tables as comma-separated values");
}

absl::Status CheckEvaluationFormat(const CommandContext& context,
                                   const EvaluationFormat& format) {
  if (format.csv && context.json()) {
    return UsageError("--csv and --output json exclude each other");
  }
  return absl::OkStatus();
}

std::string MeasuredVersion(const v1::Evaluation& evaluation) {
  return evaluation.has_t()
             ? absl::StrCat(evaluation.model(), " t=", evaluation.t())
             : evaluation.model();
}

void PrintEvaluations(CommandContext& context, const EvaluationFormat& format,
                      const std::vector<v1::Evaluation>& evaluations) {
  if (format.csv) {
    context.out() << "job_id,dataset,model,against,figure,class_label,"
                     "attribute,group,candidate,count,value,low,high,"
                     "against_value,against_low,against_high,difference,"
                     "difference_low,difference_high,only_model,only_against,"
                     "p_value,t\n";
  }
  for (size_t i = 0; i < evaluations.size(); ++i) {
    if (context.json()) {
      context.PrintJson(evaluations[i]);
    } else if (format.csv) {
      PrintCsv(evaluations[i], context.out());
    } else {
      if (i > 0) context.out() << '\n';
      PrintText(evaluations[i], format.tables, context.out());
    }
  }
}

}  // namespace attune::client
