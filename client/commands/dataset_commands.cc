#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/commands/context.h"
#include "client/commands/progress.h"
#include "client/commands/table.h"
#include "client/examples_file.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

std::string StateName(const v1::Dataset& dataset) {
  return WithoutPrefix("DATASET_STATE_",
                       v1::DatasetState_Name(dataset.state()));
}

// "120 pairs, 40 clean", the kinds that occur.
std::string Kinds(const v1::Dataset& dataset) {
  std::vector<std::string> kinds;
  const auto add = [&](int64_t count, const char* name) {
    if (count > 0) kinds.push_back(absl::StrCat(FormatCount(count), name));
  };
  add(dataset.pair_count(), " pairs");
  add(dataset.clean_count(), " clean");
  add(dataset.labelled_count(), " labelled");
  add(dataset.caption_count(), " captions");
  return absl::StrJoin(kinds, ", ");
}

void PrintDataset(const v1::Dataset& dataset, std::ostream& out) {
  PrintFields(
      {{"Dataset", dataset.name()},
       {"State", StateName(dataset)},
       {"Note", dataset.status_message()},
       {"Examples", FormatCount(dataset.example_count())},
       {"Kinds", Kinds(dataset)},
       {"Images", FormatBytes(dataset.image_bytes())},
       {"Candidates", dataset.candidates().empty()
                          ? ""
                          : absl::StrCat(FormatCount(dataset.candidates_size()),
                                         dataset.candidates_named()
                                             ? " named"
                                             : " texts of the examples")},
       {"Created", FormatTime(dataset.create_time())},
       {"Sealed", FormatTime(dataset.seal_time())},
       {"Digest", dataset.digest()}},
      out);
  if (dataset.invalid_example_count() > 0) {
    out << FormatCount(dataset.invalid_example_count())
        << " examples cannot be decoded:\n";
    for (const v1::InvalidExample& invalid : dataset.invalid_examples()) {
      out << "  example " << invalid.example() << ": " << invalid.reason()
          << '\n';
    }
  }
}

absl::Status Create(CommandContext& context, const std::string& name,
                    const std::string& candidates_path) {
  v1::CreateDatasetRequest request;
  request.set_name(name);
  if (!candidates_path.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> candidates,
                            ReadLines(candidates_path));
    if (candidates.empty()) {
      return Error(absl::StatusCode::kInvalidArgument, "NO_CANDIDATES",
                   absl::StrCat(candidates_path, " holds no text"));
    }
    request.mutable_candidates()->Assign(candidates.begin(), candidates.end());
  }
  ATTUNE_ASSIGN_OR_RETURN(const v1::Dataset dataset,
                          context.client().CreateDataset(request));
  if (context.json()) {
    context.PrintJson(dataset);
  } else {
    context.out() << "made dataset " << dataset.name() << '\n';
  }
  return absl::OkStatus();
}

// The error of a dataset whose validation has found bad pictures.
absl::Status InvalidDataset(const v1::Dataset& dataset) {
  std::vector<FieldViolation> violations;
  for (const v1::InvalidExample& invalid : dataset.invalid_examples()) {
    violations.push_back(
        {absl::StrCat("example ", invalid.example()), invalid.reason()});
  }
  return WithErrorFields(
      Error(absl::StatusCode::kFailedPrecondition, "DATASET_INVALID",
            absl::StrCat(dataset.name(), " has ",
                         FormatCount(dataset.invalid_example_count()),
                         " examples that cannot be decoded: drop them (attune "
                         "dataset drop ",
                         dataset.name(),
                         "), or repair them and upload all to a new dataset")),
      violations);
}

// Looks at the dataset until it is validated, showing why it waits.
absl::StatusOr<v1::Dataset> WaitForValidation(CommandContext& context,
                                              v1::Dataset dataset) {
  ProgressLine line(context.console().err, context.console().err_is_terminal,
                    context.console().width);
  std::optional<std::string> shown;
  v1::GetDatasetRequest request;
  request.set_name(dataset.name());
  while (dataset.state() == v1::DATASET_STATE_VALIDATING) {
    if (shown != dataset.status_message()) {
      shown = dataset.status_message();
      const std::string text = absl::StrCat("validating ", dataset.name(),
                                            shown->empty() ? "" : ": ", *shown);
      if (line.terminal()) {
        line.Show(-1, text);
      } else {
        line.Print(text);
      }
    }
    absl::SleepFor(context.poll_interval);
    ATTUNE_ASSIGN_OR_RETURN(dataset, context.client().GetDataset(request));
  }
  return dataset;
}

// The answer of a seal, or the error of one that found bad pictures.
absl::Status ShowSealed(CommandContext& context, const v1::Dataset& dataset) {
  if (dataset.state() == v1::DATASET_STATE_INVALID) {
    return InvalidDataset(dataset);
  }
  if (context.json()) {
    context.PrintJson(dataset);
  } else {
    PrintDataset(dataset, context.out());
  }
  return absl::OkStatus();
}

absl::Status Seal(CommandContext& context, const std::string& name, bool wait) {
  v1::SealDatasetRequest request;
  request.set_name(name);
  ATTUNE_ASSIGN_OR_RETURN(v1::Dataset dataset,
                          context.client().SealDataset(request));
  if (wait) {
    ATTUNE_ASSIGN_OR_RETURN(dataset,
                            WaitForValidation(context, std::move(dataset)));
  }
  return ShowSealed(context, dataset);
}

// Drops what the server names, at most 100 examples a time, until none is left.
absl::Status Drop(CommandContext& context, const std::string& name, bool wait) {
  v1::DropExamplesRequest request;
  request.set_dataset(name);
  v1::Dataset dataset;
  do {
    ATTUNE_ASSIGN_OR_RETURN(dataset, context.client().DropExamples(request));
    if (!wait) break;
    ATTUNE_ASSIGN_OR_RETURN(dataset,
                            WaitForValidation(context, std::move(dataset)));
  } while (dataset.state() == v1::DATASET_STATE_INVALID &&
           dataset.invalid_example_count() > 0);
  return ShowSealed(context, dataset);
}

struct UploadOptions {
  std::string name;
  std::string path;
  bool seal = false;
  bool no_wait = false;
};

absl::Status Upload(CommandContext& context, const UploadOptions& options) {
  // The whole file is checked before the first byte is sent.
  ATTUNE_ASSIGN_OR_RETURN(const ExamplesFile file,
                          ExamplesFile::Open(options.path));
  v1::UploadExamplesResponse response;
  {
    ProgressLine line(context.console().err, context.console().err_is_terminal,
                      context.console().width);
    ATTUNE_ASSIGN_OR_RETURN(
        response, context.client().UploadExamples(
                      options.name,
                      {.count = file.size(),
                       .read = [&](int64_t index) { return file.Read(index); }},
                      [&](int64_t done, int64_t) {
                        line.Show(static_cast<double>(done) /
                                      static_cast<double>(file.image_bytes()),
                                  absl::StrCat("uploaded ", FormatBytes(done)));
                      }));
  }
  if (!context.json()) {
    context.out() << "added " << FormatCount(response.added_count())
                  << " examples to " << options.name << '\n';
  }
  if (options.seal) return Seal(context, options.name, !options.no_wait);
  if (context.json()) context.PrintJson(response);
  return absl::OkStatus();
}

absl::Status List(CommandContext& context) {
  v1::ListDatasetsResponse all;
  ATTUNE_RETURN_IF_ERROR(ForEachPage(
      v1::ListDatasetsRequest(),
      [&](const auto& request) {
        return context.client().ListDatasets(request);
      },
      [&](v1::ListDatasetsResponse& page) {
        all.mutable_datasets()->MergeFrom(page.datasets());
      }));
  if (context.json()) {
    context.PrintJson(all);
    return absl::OkStatus();
  }
  Table table({"NAME", "STATE", "EXAMPLES", "KINDS", "IMAGES", "CREATED"});
  for (const v1::Dataset& dataset : all.datasets()) {
    table.AddRow({dataset.name(), StateName(dataset),
                  FormatCount(dataset.example_count()), Kinds(dataset),
                  FormatBytes(dataset.image_bytes()),
                  FormatTime(dataset.create_time())});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

absl::Status Show(CommandContext& context, const std::string& name) {
  v1::GetDatasetRequest request;
  request.set_name(name);
  ATTUNE_ASSIGN_OR_RETURN(const v1::Dataset dataset,
                          context.client().GetDataset(request));
  if (context.json()) {
    context.PrintJson(dataset);
  } else {
    PrintDataset(dataset, context.out());
  }
  return absl::OkStatus();
}

absl::Status Delete(CommandContext& context, const std::string& name) {
  v1::DeleteDatasetRequest request;
  request.set_name(name);
  ATTUNE_RETURN_IF_ERROR(context.client().DeleteDataset(request));
  if (context.json()) {
    context.PrintJson(v1::DeleteDatasetResponse());
  } else {
    context.out() << "deleted dataset " << name << '\n';
  }
  return absl::OkStatus();
}

}  // namespace

void AddDatasetCommand(CLI::App& app, CommandContext& context) {
  struct State {
    UploadOptions upload;
    std::string candidates;
  };
  auto state = std::make_shared<State>();
  std::string& name = state->upload.name;
  CLI::App* dataset =
      app.add_subcommand("dataset", "Upload, seal and delete examples");
  dataset->require_subcommand(1);

  CLI::App* create = dataset->add_subcommand("create", "Make an empty dataset");
  create->add_option("name", name, "Lower-case letters, digits, - _ .")
      ->required();
  create->add_option(
      "--candidates", state->candidates,
      "File with the candidate texts, one a line; without it: the distinct "
      "texts of the examples");
  create->footer(
      "Example:\n  attune dataset create rta --candidates prompts.txt");
  create->callback([state, &context] {
    context.SetAction([state, &context] {
      return Create(context, state->upload.name, state->candidates);
    });
  });

  CLI::App* upload = dataset->add_subcommand("upload", "Add examples");
  upload->add_option("name", name, "The dataset")->required();
  upload->add_option("file", state->upload.path, "Examples in JSON Lines")
      ->required();
  CLI::Option* seal = upload->add_flag(
      "--seal", state->upload.seal, "Seal the dataset and wait for validation");
  upload
      ->add_flag("--no-wait", state->upload.no_wait,
                 "Return while the sealed dataset is validated")
      ->needs(seal);
  upload->footer(R"(Example:
  attune dataset upload rta examples.jsonl --seal
One object a line, image paths relative to the file, kinds mixed freely:
  {"image": "1.jpg", "preferred": "a dog.", "rejected": "a cat."}
  {"image": "2.jpg"}
  {"image": "3.jpg", "label": "a dog.", "attack": "a cat."}
  {"image": "4.jpg", "caption": "a red ball", "attributes": {"color": "red"},
   "caption_attributes": {"color": "red"}}
A pair may have a "clean_image", every kind "attributes". Nothing is sent unless
every line is right.)");
  upload->callback([state, &context] {
    context.SetAction(
        [state, &context] { return Upload(context, state->upload); });
  });

  CLI::App* seal_command = dataset->add_subcommand(
      "seal", "End the uploads and have every picture decoded once");
  seal_command->add_option("name", name, "The dataset")->required();
  seal_command->add_flag("--no-wait", state->upload.no_wait,
                         "Return while the dataset is validated");
  seal_command->footer("Example:\n  attune dataset seal rta");
  seal_command->callback([state, &context] {
    context.SetAction([state, &context] {
      return Seal(context, state->upload.name, !state->upload.no_wait);
    });
  });

  CLI::App* drop = dataset->add_subcommand(
      "drop", "Drop the examples that cannot be decoded and seal the rest");
  drop->add_option("name", name, "An INVALID dataset")->required();
  drop->add_flag("--no-wait", state->upload.no_wait,
                 "Return while the dataset is validated again");
  drop->footer("Example:\n  attune dataset drop rta");
  drop->callback([state, &context] {
    context.SetAction([state, &context] {
      return Drop(context, state->upload.name, !state->upload.no_wait);
    });
  });

  CLI::App* list = dataset->add_subcommand("list", "All datasets");
  list->footer("Example:\n  attune dataset list");
  list->callback(
      [&context] { context.SetAction([&context] { return List(context); }); });

  CLI::App* show = dataset->add_subcommand("show", "One dataset");
  show->add_option("name", name, "The dataset")->required();
  show->footer("Example:\n  attune dataset show rta");
  show->callback([state, &context] {
    context.SetAction(
        [state, &context] { return Show(context, state->upload.name); });
  });

  CLI::App* remove = dataset->add_subcommand("delete", "Delete a dataset");
  remove->add_option("name", name, "The dataset")->required();
  remove->footer("Example:\n  attune dataset delete rta");
  remove->callback([state, &context] {
    context.SetAction(
        [state, &context] { return Delete(context, state->upload.name); });
  });
}

}  // namespace attune::client
