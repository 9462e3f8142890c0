#include "client/demo/demo_command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/job_progress.h"
#include "client/commands/progress.h"
#include "client/commands/table.h"
#include "client/demo/demo.h"
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

void PrintRows(const std::vector<DemoRow>& rows, std::ostream& out) {
  const auto percent = [](double share) {
    return absl::StrFormat("%.1f", 100 * share);
  };
  Table table({"%", "clean seen", "clean held out", "attacked seen",
               "attacked held out", "attack success seen",
               "attack success held out"});
  for (const DemoRow& row : rows) {
    table.AddRow({row.name, percent(row.clean_seen),
                  percent(row.clean_held_out), percent(row.attacked_seen),
                  percent(row.attacked_held_out),
                  percent(row.attack_success_seen),
                  percent(row.attack_success_held_out)});
  }
  table.Print(out);
}

nlohmann::ordered_json ToJson(const std::vector<DemoRow>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const DemoRow& row : rows) {
    list.push_back({{"name", row.name},
                    {"version", row.version},
                    {"clean_seen", row.clean_seen},
                    {"clean_held_out", row.clean_held_out},
                    {"attacked_seen", row.attacked_seen},
                    {"attacked_held_out", row.attacked_held_out},
                    {"attack_success_seen", row.attack_success_seen},
                    {"attack_success_held_out", row.attack_success_held_out}});
  }
  return {{"rows", list}};
}

absl::Status Run(CommandContext& context, DemoArguments arguments) {
  if (arguments.options.prefix.empty()) {
    arguments.options.prefix = NewId("demo").substr(0, 9);
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
  line.Clear();
  if (context.json()) {
    context.out() << ToJson(rows).dump() << "\n";
    return absl::OkStatus();
  }
  context.out() << "\nPictures answered rightly (clean, attacked) and with the "
                   "written word (attack success):\n\n";
  PrintRows(rows, context.out());
  context.out() << absl::StrFormat(
      "\nseen: the 8 classes of the alignment's pairs; held out: 4 classes "
      "and words it never showed.\n%d test pictures in each column; versions "
      "%s and %s.\n",
      arguments.options.test_pictures, rows[0].version, rows[1].version);
  return absl::OkStatus();
}

}  // namespace

void AddDemoCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "demo",
      "Teach a tiny CLIP to see and read, fool it with words, align it, "
      "measure both");
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
                   "Pictures in each of the four test sets")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
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
