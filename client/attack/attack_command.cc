#include "client/attack/attack_command.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/attack/attack_dataset.h"
#include "client/commands/progress.h"
#include "client/commands/table.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

absl::Status Attack(CommandContext& context, const AttackOptions& options) {
  AttackSummary summary;
  {
    ProgressLine line(context.console().err, context.console().err_is_terminal,
                      context.console().width);
    ATTUNE_ASSIGN_OR_RETURN(
        summary, MakeAttackDataset(options, [&](int64_t done, int64_t total) {
          line.Show(static_cast<double>(done) / static_cast<double>(total),
                    absl::StrCat(done, "/", total, " pictures"));
        }));
  }
  if (context.json()) {
    context.out()
        << nlohmann::ordered_json{{"output", options.output},
                                  {"picture_count", summary.picture_count},
                                  {"class_count", summary.class_count},
                                  {"word_count", summary.word_count},
                                  {"font_count", summary.font_count},
                                  {"ignored_file_count",
                                   summary.ignored_file_count}}
        << '\n';
    return absl::OkStatus();
  }
  context.out() << "attacked " << FormatCount(summary.picture_count)
                << " pictures of " << FormatCount(summary.class_count)
                << " classes with " << FormatCount(summary.word_count)
                << " words in " << FormatCount(summary.font_count)
                << (summary.font_count == 1 ? " font: " : " fonts: ")
                << options.output << "/examples.jsonl\n";
  if (summary.ignored_file_count > 0) {
    context.out() << "left out " << FormatCount(summary.ignored_file_count)
                  << " files that are not .jpg, .jpeg, .png or .webp\n";
  }
  if (!options.preview.empty()) {
    context.out() << "some of them are in " << options.preview << '\n';
  }
  return absl::OkStatus();
}

constexpr char kFooter[] = R"(Example:
  attune dataset attack photos attacked --preview sheet.png
  attune dataset create typo --candidates attacked/candidates.txt
  attune dataset upload typo attacked/examples.jsonl --seal
The source is a folder with a folder of pictures for each class (its name is the
class, '_' a space), or a file of labelled rows as 'dataset upload' takes them.
Every picture is cut to a square and gets the name of another class: in one of
the fonts, 20 to 40 pixels high (at 224) or less where it would not fit, in two
of eight colours, anywhere. The same seed, pictures, words and fonts give the
same files. Nothing is written unless every picture can be.)";

}  // namespace

void AddAttackCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<AttackOptions>();
  CLI::App* command = app.get_subcommand("dataset")->add_subcommand(
      "attack", "Write words of other classes on labelled pictures");
  command
      ->add_option("source", options->source,
                   "Folder with a folder a class, or labelled rows in JSON "
                   "Lines")
      ->required();
  command
      ->add_option("folder", options->output,
                   "Folder to make: examples.jsonl, candidates.txt, "
                   "attacks.jsonl, images")
      ->required();
  command->add_flag("--labelled", options->labelled,
                    "Labelled rows for an evaluation, clean and attacked, "
                    "instead of pairs");
  command->add_option("--prompt", options->prompt, "Text with {} for the class")
      ->capture_default_str();
  command->add_option("--words", options->words,
                      "File with the words to write, one a line [the classes]");
  command
      ->add_option("--font", options->fonts,
                   "Font file, or a name as fc-list knows it; may be repeated "
                   "[all of the system that have the glyphs]")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed, "Of everything random")
      ->capture_default_str();
  command
      ->add_option("--side", options->side,
                   "Pixels of a picture's side; the paper: 168")
      ->check(CLI::Range(112, 2048))
      ->capture_default_str();
  command->add_option("--preview", options->preview,
                      "PNG file with up to 40 of the pictures");
  command->footer(kFooter);
  command->callback([options, &context] {
    context.SetAction(
        [options, &context] { return Attack(context, *options); });
  });
}

}  // namespace attune::client
