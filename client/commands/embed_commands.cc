#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/context.h"
#include "client/commands/image_batches.h"
#include "client/commands/table.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Numbers of a vector that the text form shows.
constexpr int kShownValues = 6;

struct EmbedOptions {
  std::string version;
  std::vector<std::string> items;
  bool truncate = false;
  std::optional<double> t;
};

// "[0.01 -0.2 … +506]"
std::string Short(const v1::Embedding& embedding) {
  std::string text = "[";
  for (int i = 0; i < std::min(kShownValues, embedding.values_size()); ++i) {
    absl::StrAppend(&text, i > 0 ? " " : "", FormatNumber(embedding.values(i)));
  }
  if (embedding.values_size() > kShownValues) {
    absl::StrAppend(&text, " ... +", embedding.values_size() - kShownValues);
  }
  return text + "]";
}

// Prints the answer; kExitFailed when an item has failed.
template <typename Response>
ExitCode Print(CommandContext& context, const std::vector<std::string>& items,
               const char* item_title, const Response& response) {
  ExitCode code = kExitDone;
  Table table({item_title, "DIMENSIONS", "VECTOR"});
  for (int i = 0; i < response.embeddings_size(); ++i) {
    const v1::Embedding& embedding = response.embeddings(i);
    const std::string& item = items[static_cast<size_t>(i)];
    if (embedding.has_error()) {
      PrintItemError(context, item, embedding.error());
      code = kExitFailed;
    } else {
      table.AddRow(
          {item, absl::StrCat(embedding.values_size()), Short(embedding)});
    }
  }
  if (context.json()) {
    context.PrintJson(response);
  } else {
    context.out() << response.version() << '\n';
    table.Print(context.out());
  }
  return code;
}

absl::StatusOr<ExitCode> EmbedImages(CommandContext& context,
                                     const EmbedOptions& options) {
  const std::vector<std::string>& paths = options.items;
  v1::EmbedImagesRequest request;
  request.set_version(options.version);
  if (options.t) request.set_t(*options.t);
  v1::EmbedImagesResponse all;
  ATTUNE_RETURN_IF_ERROR(ForEachGroup(
      paths, request, [&](v1::EmbedImagesRequest* group) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const v1::EmbedImagesResponse response,
                                context.client().EmbedImages(*group));
        // The groups that follow ask the same version, should the selector
        // move meanwhile.
        group->set_version(response.version());
        all.set_version(response.version());
        all.mutable_embeddings()->MergeFrom(response.embeddings());
        return absl::OkStatus();
      }));
  return Print(context, paths, "FILE", all);
}

absl::StatusOr<ExitCode> EmbedTexts(CommandContext& context,
                                    const EmbedOptions& options) {
  const std::vector<std::string>& texts = options.items;
  v1::EmbedTextsRequest request;
  request.set_version(options.version);
  request.mutable_texts()->Assign(texts.begin(), texts.end());
  request.set_truncate(options.truncate);
  if (options.t) request.set_t(*options.t);
  ATTUNE_ASSIGN_OR_RETURN(const v1::EmbedTextsResponse response,
                          context.client().EmbedTexts(request));
  return Print(context, texts, "TEXT", response);
}

}  // namespace

void AddEmbedCommand(CLI::App& app, CommandContext& context) {
  auto state = std::make_shared<EmbedOptions>();
  CLI::App* embed =
      app.add_subcommand("embed", "Embeddings of pictures and texts");
  embed->require_subcommand(1);

  CLI::App* image = embed->add_subcommand("image", "Embed pictures");
  image->add_option("files", state->items, "JPEG, PNG or WebP")->required();
  image->add_option("--model", state->version, "NAME, NAME:N or NAME@ALIAS")
      ->required();
  AddKnobOption(*image, state->t);
  image->footer(
      "Example:\n  attune embed image a.jpg b.png --model robust@stable "
      "--output json\nThe vectors have length 1, unless a linear head changed "
      "them.");
  image->callback([state, &context] {
    context.SetActionWithCode(
        [state, &context] { return EmbedImages(context, *state); });
  });

  CLI::App* text = embed->add_subcommand("text", "Embed texts");
  text->add_option("texts", state->items,
                   "Up to 10,000 texts; [a,b] stands for two texts")
      ->required();
  text->add_option("--model", state->version, "NAME, NAME:N or NAME@ALIAS")
      ->required();
  text->add_flag("--truncate", state->truncate,
                 "Cut texts that are longer than the model's context");
  AddKnobOption(*text, state->t);
  text->footer(
      "Example:\n  attune embed text \"a photo of a dog.\" --model robust");
  text->callback([state, &context] {
    context.SetActionWithCode(
        [state, &context] { return EmbedTexts(context, *state); });
  });
}

}  // namespace attune::client
