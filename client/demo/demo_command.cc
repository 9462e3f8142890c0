#include "client/demo/demo_command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/commands/job_progress.h"
#include "client/commands/progress.h"
#include "client/commands/table.h"
#include "client/demo/demo.h"
#include "client/demo/demo_knob.h"
#include "client/file_writer.h"
#include "client/report/report_data.h"
#include "client/report/report_page.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

extern char** environ;

namespace attune::client {
namespace {

struct DemoArguments {
  DemoOptions options;
  std::string random_model;
  // The page to write; empty: PREFIX-report.html.
  std::string report;
};

// A folder of its own that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "attune-demo-XXXXXX")
            .string();
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// attune-convert beside this program, else the one on the PATH.
std::string ConvertProgram() {
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path beside = self.parent_path() / "attune-convert";
  return std::filesystem::exists(beside, error) ? beside.string()
                                                : "attune-convert";
}

// Has attune-convert, which knows how a CLIP is initialised, write a random
// tiny one.
absl::Status MakeRandomModel(uint64_t seed, const std::string& path) {
  std::vector<std::string> words = {
      ConvertProgram(),   "--init",   "tiny", "--seed",
      absl::StrCat(seed), "--output", "json", path};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // What it reports is not part of the demo's output.
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
                                   O_WRONLY, 0);
  pid_t pid = 0;
  const int spawned = posix_spawnp(&pid, arguments[0], &actions, nullptr,
                                   arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (spawned != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
      WEXITSTATUS(status) != 0) {
    return Error(absl::StatusCode::kFailedPrecondition, "CONVERT_FAILED",
                 absl::StrCat("'", words[0],
                              " --init tiny' failed; make the file yourself "
                              "and give it with --random-model"));
  }
  return absl::OkStatus();
}

// The columns: in JSON, in the table, and where the value is.
struct Column {
  const char* name;
  const char* title;
  double DemoRow::*value;
};

constexpr Column kColumns[] = {
    {"clean_top1", "clean", &DemoRow::clean_top1},
    {"clean_top1_unseen", "clean unseen", &DemoRow::clean_top1_unseen},
    {"attacked_top1_seen", "attacked seen", &DemoRow::attacked_top1_seen},
    {"attacked_top1_unseen", "unseen", &DemoRow::attacked_top1_unseen},
    {"attacked_top1_unseen_font", "unseen font",
     &DemoRow::attacked_top1_unseen_font},
    {"attack_success", "fooled seen", &DemoRow::attack_success},
    {"attack_success_unseen", "unseen", &DemoRow::attack_success_unseen},
    {"attack_success_unseen_font", "unseen font",
     &DemoRow::attack_success_unseen_font},
    {"reading_top1", "reads", &DemoRow::reading_top1},
};

void PrintRows(const std::vector<DemoRow>& rows, std::ostream& out) {
  std::vector<std::string> header = {"%"};
  for (const Column& column : kColumns) header.push_back(column.title);
  Table table(std::move(header));
  for (const DemoRow& row : rows) {
    std::vector<std::string> cells = {row.name};
    for (const Column& column : kColumns) {
      cells.push_back(absl::StrFormat("%.1f", 100 * row.*column.value));
    }
    table.AddRow(std::move(cells));
  }
  table.Print(out);
}

// Each column of a knob's table: in JSON, in the table and the report, and
// where the value is.
struct KnobColumn {
  const char* name;
  const char* title;
  bool is_share;
  double DemoKnobPoint::*value;
};

constexpr KnobColumn kKnobColumns[] = {
    {"margin", "margin", false, &DemoKnobPoint::margin},
    {"told_apart", "red and blue told apart", true, &DemoKnobPoint::told_apart},
    {"class_top1", "shape right", true, &DemoKnobPoint::class_top1},
};

void PrintKnob(const DemoKnob& knob, std::ostream& out) {
  std::vector<std::string> header = {"t"};
  for (const KnobColumn& column : kKnobColumns) {
    header.push_back(absl::StrCat(column.title, column.is_share ? " %" : ""));
  }
  Table table(std::move(header));
  for (const DemoKnobPoint& point : knob.points) {
    std::vector<std::string> cells = {absl::StrFormat("%.2f", point.t)};
    for (const KnobColumn& column : kKnobColumns) {
      const double value = point.*column.value;
      cells.push_back(column.is_share ? absl::StrFormat("%.1f", 100 * value)
                                      : absl::StrFormat("%.2f", value));
    }
    table.AddRow(std::move(cells));
  }
  table.Print(out);
}

nlohmann::ordered_json ToJson(const DemoKnob& knob) {
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  for (const DemoKnobPoint& point : knob.points) {
    nlohmann::ordered_json object = {{"t", point.t}};
    for (const KnobColumn& column : kKnobColumns) {
      object[column.name] = point.*column.value;
    }
    points.push_back(std::move(object));
  }
  return {
      {"version", knob.version}, {"job_id", knob.job_id}, {"points", points}};
}

KnobCurve ToCurve(const DemoKnob& knob) {
  KnobCurve curve;
  curve.title = absl::StrCat(knob.version, ": red and blue");
  for (const KnobColumn& column : kKnobColumns) {
    curve.figures.push_back(
        {.name = column.title, .is_share = column.is_share});
  }
  for (const DemoKnobPoint& point : knob.points) {
    KnobPoint& shown = curve.points.emplace_back();
    shown.t = point.t;
    for (const KnobColumn& column : kKnobColumns) {
      shown.values.push_back(point.*column.value);
    }
  }
  return curve;
}

nlohmann::ordered_json ToJson(const std::vector<DemoRow>& rows,
                              const std::optional<DemoKnob>& knob,
                              const std::string& report) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const DemoRow& row : rows) {
    nlohmann::ordered_json object = {
        {"name", row.name}, {"version", row.version}, {"job_id", row.job_id}};
    for (const Column& column : kColumns) {
      object[column.name] = row.*column.value;
    }
    list.push_back(std::move(object));
  }
  nlohmann::ordered_json object = {{"rows", list}};
  if (knob) object["knob"] = ToJson(*knob);
  object["report"] = report;
  return object;
}

// Writes the report of DPO's job, or of the last where DPO was left out, with
// the knob's curve.
absl::Status WriteReport(AttuneClient& client, const DemoArguments& arguments,
                         const std::vector<DemoRow>& rows,
                         const std::optional<DemoKnob>& knob,
                         ProgressLine& line) {
  const auto dpo = absl::c_find_if(
      rows, [](const DemoRow& row) { return row.name == "dpo"; });
  ReportOptions options;
  options.job_id = dpo == rows.end() ? rows.back().job_id : dpo->job_id;
  options.dataset = absl::StrCat(arguments.options.prefix, "-test-seen");
  ATTUNE_ASSIGN_OR_RETURN(
      Report report,
      CollectReport(client, options, [&](int64_t done, int64_t total) {
        line.Show(static_cast<double>(done) / static_cast<double>(total),
                  absl::StrCat(done, "/", total, " pictures asked"));
      }));
  if (knob) report.knob_curves.push_back(ToCurve(*knob));
  FileWriter file(arguments.report);
  ATTUNE_RETURN_IF_ERROR(file.Write(RenderReport(report, absl::Now())));
  return file.Commit();
}

absl::Status Run(CommandContext& context, DemoArguments arguments) {
  if (arguments.options.prefix.empty()) {
    arguments.options.prefix = NewId("demo").substr(0, 9);
  }
  if (arguments.report.empty()) {
    arguments.report = absl::StrCat(arguments.options.prefix, "-report.html");
  }
  TemporaryFolder folder;
  if (arguments.random_model.empty()) {
    arguments.random_model = folder.path() + "/tiny.safetensors";
    ATTUNE_RETURN_IF_ERROR(
        MakeRandomModel(arguments.options.seed, arguments.random_model));
  }

  // With --output json the story goes to the error stream.
  std::ostream& story =
      context.json() ? context.console().err : context.console().out;
  const bool terminal = context.json() ? context.console().err_is_terminal
                                       : context.console().out_is_terminal;
  ProgressLine line(story, terminal, context.console().width);
  AttuneClient& client = context.client();
  const DemoObserver observer = {
      .say =
          [&](absl::string_view text) { line.Print(absl::StrCat("* ", text)); },
      .transfer =
          [&](int64_t done, int64_t total) {
            line.Show(total > 0 ? static_cast<double>(done) / total : -1,
                      absl::StrCat(FormatBytes(done), " sent"));
          },
      .watch =
          [&](const std::string& id) {
            JobProgress progress(line);
            return client.WatchJob(id, [&](const v1::WatchJobResponse& update) {
              progress.Update(update);
              return absl::OkStatus();
            });
          }};
  ATTUNE_ASSIGN_OR_RETURN(
      const std::vector<DemoRow> rows,
      RunDemo(client, arguments.options, arguments.random_model, observer));
  // What comes after the table must not cost it.
  std::optional<DemoKnob> knob;
  absl::Status status;
  if (arguments.options.knob) {
    absl::StatusOr<DemoKnob> made =
        RunDemoKnob(client, arguments.options, observer);
    status.Update(made.status());
    if (made.ok()) knob = *std::move(made);
  }
  const absl::Status reported =
      WriteReport(client, arguments, rows, knob, line);
  status.Update(reported);
  line.Clear();
  if (context.json()) {
    context.out()
        << ToJson(rows, knob, reported.ok() ? arguments.report : "").dump()
        << "\n";
    return status;
  }
  context.out() << "\nPictures answered rightly (clean, attacked) and with the "
                   "written word (fooled):\n\n";
  PrintRows(rows, context.out());
  context.out() << absl::StrFormat(
      "\nunseen: 4 classes and words that the alignment never showed; unseen "
      "font: seen words\nin other faces; reads: words alone. %d pictures in "
      "each part of a test.\n",
      arguments.options.test_pictures);
  if (knob) {
    context.out() << "\nA knob for red and blue, turned from t = -1 to 2:\n\n";
    PrintKnob(*knob, context.out());
    context.out() << "\nt = 0 is the base, t = 1 what was trained; margin: by "
                     "how much the logit of the right\ncolour exceeds that of "
                     "the other; shape: of objects of all colours.\n\n";
  }
  for (const DemoRow& row : rows) {
    context.out() << row.name << " is " << row.version << '\n';
  }
  if (knob) context.out() << "knob is " << knob->version << '\n';
  if (reported.ok()) {
    context.out() << "report: " << arguments.report << '\n';
  }
  return status;
}

}  // namespace

void AddDemoCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "demo",
      "Teach a tiny CLIP to see and read, fool it with words, align it in "
      "several ways, compare");
  auto arguments = std::make_shared<DemoArguments>();
  DemoOptions& options = arguments->options;
  command->add_option("--prefix", options.prefix,
                      "First part of the names of what it makes (default: "
                      "demo- and random digits)");
  command
      ->add_option("--seed", options.seed,
                   "Of the pictures, the data order and the first model")
      ->capture_default_str();
  command
      ->add_option("--pretrain-pictures", options.pretrain_pictures,
                   "Captioned pictures")
      ->check(CLI::Range(64, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--pretrain-steps", options.pretrain_steps,
                   "Steps of 64 pictures")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--pairs", options.pairs,
                   "Preference pairs, and as many clean pictures")
      ->check(CLI::Range(64, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--align-epochs", options.align_epochs,
                   "Passes over the pairs")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command
      ->add_option("--test-pictures", options.test_pictures,
                   "Pictures in each of the six parts of the tests")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  options.objectives = DemoObjectives();
  command
      ->add_option("--objectives", options.objectives,
                   "What to align it with, a list")
      ->delimiter(',')
      ->check(CLI::IsMember(DemoObjectives()))
      ->default_str(absl::StrJoin(DemoObjectives(), ","));
  command->add_flag_callback(
      "--no-knob", [&options] { options.knob = false; },
      "Leave out the second part, a knob for a colour");
  command->add_option("--report", arguments->report,
                      "HTML page to write of DPO's job [PREFIX-report.html]");
  command
      ->add_option("--random-model", arguments->random_model,
                   "Random tiny model to start from (default: made by "
                   "attune-convert)")
      ->check(CLI::ExistingFile);
  command->callback([&context, arguments] {
    context.SetAction(
        [&context, arguments] { return Run(context, *arguments); });
  });
}

}  // namespace attune::client
