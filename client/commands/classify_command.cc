#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "client/commands/context.h"
#include "client/commands/image_batches.h"
#include "client/commands/table.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

struct ClassifyOptions {
  std::vector<std::string> paths;
  std::string version;
  std::string labels;
  std::vector<std::string> templates;
  int top_k = 5;
  bool truncate = false;
  std::optional<double> t;
};

absl::StatusOr<ExitCode> Classify(CommandContext& context,
                                  const ClassifyOptions& options) {
  v1::ClassifyImagesRequest request;
  request.set_version(options.version);
  for (absl::string_view label : absl::StrSplit(options.labels, ',')) {
    request.add_labels(std::string(absl::StripAsciiWhitespace(label)));
  }
  request.mutable_templates()->Assign(options.templates.begin(),
                                      options.templates.end());
  request.set_top_k(options.top_k);
  request.set_truncate(options.truncate);
  if (options.t) request.set_t(*options.t);
  v1::ClassifyImagesResponse all;
  ATTUNE_RETURN_IF_ERROR(ForEachGroup(
      options.paths, request,
      [&](v1::ClassifyImagesRequest* group) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const v1::ClassifyImagesResponse response,
                                context.client().ClassifyImages(*group));
        // The groups that follow ask the same version.
        group->set_version(response.version());
        all.set_version(response.version());
        all.mutable_classifications()->MergeFrom(response.classifications());
        return absl::OkStatus();
      }));

  ExitCode code = kExitDone;
  Table table({"FILE", "LABEL", "PROBABILITY", "LOGIT"});
  for (int i = 0; i < all.classifications_size(); ++i) {
    const v1::Classification& answer = all.classifications(i);
    const std::string& path = options.paths[static_cast<size_t>(i)];
    if (answer.has_error()) {
      PrintItemError(context, path, answer.error());
      code = kExitFailed;
      continue;
    }
    for (int k = 0; k < answer.scores_size(); ++k) {
      const v1::LabelScore& score = answer.scores(k);
      table.AddRow({k == 0 ? path : "", score.label(),
                    absl::StrFormat("%.4f", score.probability()),
                    absl::StrFormat("%.2f", score.logit())});
    }
  }
  if (context.json()) {
    context.PrintJson(all);
  } else {
    context.out() << all.version() << '\n';
    table.Print(context.out());
  }
  return code;
}

}  // namespace

void AddClassifyCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ClassifyOptions>();
  CLI::App* classify =
      app.add_subcommand("classify", "Which label fits a picture best");
  classify->add_option("files", options->paths, "JPEG, PNG or WebP")
      ->required();
  classify
      ->add_option("--model", options->version, "NAME, NAME:N or NAME@ALIAS")
      ->required();
  classify
      ->add_option("--labels", options->labels,
                   "The labels, with commas between")
      ->required();
  classify
      ->add_option("--template", options->templates,
                   "Text with {} for the label; may be repeated, and the "
                   "embeddings are then averaged")
      ->allow_extra_args(false);
  classify->add_option("--top-k", options->top_k, "Best labels to show; 0: all")
      ->capture_default_str();
  classify->add_flag("--truncate", options->truncate,
                     "Cut texts that are longer than the model's context");
  AddKnobOption(*classify, options->t);
  classify->footer(
      "Example:\n  attune classify a.jpg --model robust@stable --labels "
      "dog,cat \\\n      --template \"a photo of a {}.\"");
  classify->callback([options, &context] {
    context.SetActionWithCode(
        [options, &context] { return Classify(context, *options); });
  });
}

}  // namespace attune::client
