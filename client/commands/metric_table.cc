#include "client/commands/metric_table.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

using google::protobuf::FieldDescriptor;

// One cell of the CSV, by reflection, so that a new figure needs no change.
std::string CsvCell(const v1::MetricRow& row, const FieldDescriptor* field) {
  const google::protobuf::Reflection& reflection = *row.GetReflection();
  if (field->has_presence() && !reflection.HasField(row, field)) return "";
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return ExactNumber(reflection.GetDouble(row, field));
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(row, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(row, field));
    default:
      return FormatTimeUtc(row.time());
  }
}

class CsvPrinter : public MetricPrinter {
 public:
  explicit CsvPrinter(std::ostream& out) : out_(out) {
    const google::protobuf::Descriptor* type = v1::MetricRow::descriptor();
    std::vector<std::string> names;
    for (int i = 0; i < type->field_count(); ++i) {
      fields_.push_back(type->field(i));
      names.push_back(type->field(i)->name());
    }
    out_ << absl::StrJoin(names, ",") << '\n';
  }

  void Add(const v1::MetricRow& row) override {
    out_ << absl::StrJoin(fields_, ",",
                          [&](std::string* line, const FieldDescriptor* field) {
                            absl::StrAppend(line, CsvCell(row, field));
                          })
         << '\n';
  }

 private:
  std::ostream& out_;
  std::vector<const FieldDescriptor*> fields_;
};

class JsonPrinter : public MetricPrinter {
 public:
  explicit JsonPrinter(CommandContext& context) : context_(context) {}
  void Add(const v1::MetricRow& row) override { context_.PrintJson(row); }

 private:
  CommandContext& context_;
};

class TextPrinter : public MetricPrinter {
 public:
  explicit TextPrinter(std::ostream& out) : out_(out) {}

  void Add(const v1::MetricRow& row) override { rows_.push_back(row); }

  void Finish() override {
    constexpr std::pair<const char*, const char*> kColumns[] = {
        {"loss", "LOSS"},
        {"objective_loss", "OBJECTIVE"},
        {"kl", "KL"},
        {"preferred_log_ratio", "PREFERRED"},
        {"rejected_log_ratio", "REJECTED"},
        {"margin", "MARGIN"},
        {"pair_accuracy", "ACCURACY"},
        {"learning_rate", "RATE"},
        {"gradient_norm", "GRADIENT"},
        {"examples_per_second", "PER SECOND"}};
    std::vector<std::string> header = {"STEP", "EPOCH"};
    std::vector<const FieldDescriptor*> fields;
    for (const auto& [name, title] : kColumns) {
      const FieldDescriptor* field =
          v1::MetricRow::descriptor()->FindFieldByName(name);
      if (!AnyHas(field)) continue;
      fields.push_back(field);
      header.push_back(title);
    }
    Table table(std::move(header));
    for (const v1::MetricRow& row : rows_) {
      std::vector<std::string> cells = {absl::StrCat(row.step()),
                                        FormatNumber(row.epoch())};
      for (const FieldDescriptor* field : fields) {
        const google::protobuf::Reflection& reflection = *row.GetReflection();
        cells.push_back(reflection.HasField(row, field)
                            ? FormatNumber(reflection.GetDouble(row, field))
                            : "");
      }
      table.AddRow(std::move(cells));
    }
    table.Print(out_);
  }

 private:
  bool AnyHas(const FieldDescriptor* field) const {
    for (const v1::MetricRow& row : rows_) {
      if (row.GetReflection()->HasField(row, field)) return true;
    }
    return false;
  }

  std::ostream& out_;
  std::vector<v1::MetricRow> rows_;
};

}  // namespace

std::unique_ptr<MetricPrinter> MakeMetricPrinter(bool csv,
                                                 CommandContext& context) {
  if (csv) return std::make_unique<CsvPrinter>(context.out());
  if (context.json()) return std::make_unique<JsonPrinter>(context);
  return std::make_unique<TextPrinter>(context.out());
}

}  // namespace attune::client
