#include "client/report/report_command.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands/progress.h"
#include "client/commands/table.h"
#include "client/file_writer.h"
#include "client/report/report_data.h"
#include "client/report/report_page.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

struct ReportArguments {
  ReportOptions options;
  std::string output = "report.html";
};

absl::Status MakeReport(CommandContext& context,
                        const ReportArguments& arguments) {
  Report report;
  {
    ProgressLine line(context.console().err, context.console().err_is_terminal,
                      context.console().width);
    ATTUNE_ASSIGN_OR_RETURN(
        report,
        CollectReport(
            context.client(), arguments.options,
            [&](int64_t done, int64_t total) {
              line.Show(static_cast<double>(done) / static_cast<double>(total),
                        absl::StrCat(done, "/", total, " pictures asked"));
            }));
  }
  const std::string page = RenderReport(report, absl::Now());
  FileWriter file(arguments.output);
  ATTUNE_RETURN_IF_ERROR(file.Write(page));
  ATTUNE_RETURN_IF_ERROR(file.Commit());
  if (context.json()) {
    context.out() << nlohmann::ordered_json{{"file", arguments.output},
                                            {"size_bytes", page.size()}}
                  << '\n';
  } else {
    context.out() << "wrote " << arguments.output << " ("
                  << FormatBytes(static_cast<int64_t>(page.size())) << ")\n";
  }
  return absl::OkStatus();
}

constexpr char kFooter[] = R"(Example:
  attune report job-4be1c09a77d2 -o report.html
One page that can be sent on: curves, the evaluations of the job's versions
beside the base, pictures whose answer changed, pairs that it was trained on,
and the lineage. It loads nothing from anywhere. The pictures need a worker that
serves; without one they are left out.)";

}  // namespace

void AddReportCommand(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = app.add_subcommand(
      "report", "Write what a training job did as one HTML page");
  command
      ->add_option("id", arguments->options.job_id,
                   "The job, such as job-4be1c09a77d2")
      ->required();
  command->add_option("-o,--out", arguments->output, "The file to write")
      ->capture_default_str();
  command->add_option("--dataset", arguments->options.dataset,
                      "Whose pictures both versions are asked about [the "
                      "job's eval dataset, else its dataset]");
  command
      ->add_option("--pictures", arguments->options.pictures,
                   "How many of them; 0: none")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  command->footer(kFooter);
  command->callback([arguments, &context] {
    context.SetAction(
        [arguments, &context] { return MakeReport(context, *arguments); });
  });
}

}  // namespace attune::client
