#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/context.h"
#include "client/commands/progress.h"
#include "client/commands/table.h"
#include "client/model_folder.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

std::string Selector(const v1::Version& version) {
  return absl::StrCat(version.model(), ":", version.number());
}

std::string SourceName(const v1::Version& version) {
  switch (version.source()) {
    case v1::Version::SOURCE_AVERAGE:
      return "average";
    case v1::Version::SOURCE_LAST_ITERATE:
      return "last iterate";
    default:
      return "imported";
  }
}

// "ViT 48/12, 128 × 3 and 64 × 2": picture and patch, width × layers of both
// towers.
std::string Shape(const v1::ClipConfig& config) {
  return absl::StrCat("ViT ", config.image_size(), "/", config.patch_size(),
                      ", vision ", config.vision_width(), "x",
                      config.vision_layers(), ", text ", config.text_width(),
                      "x", config.text_layers(), ", embedding ",
                      config.embedding_size());
}

// Draws how far a file is on the error stream.
TransferProgress ShowTransfer(ProgressLine& line, const char* verb) {
  return [&line, verb](int64_t done, int64_t total) {
    line.Show(
        total > 0 ? static_cast<double>(done) / static_cast<double>(total) : -1,
        absl::StrCat(verb, " ", FormatBytes(done)));
  };
}

absl::Status Import(CommandContext& context, const std::string& name,
                    const std::string& path) {
  v1::Version version;
  {
    ProgressLine line(context.console().err, context.console().err_is_terminal,
                      context.console().width);
    ATTUNE_ASSIGN_OR_RETURN(
        version, context.client().ImportModel(name, path,
                                              ShowTransfer(line, "uploaded")));
  }
  if (context.json()) {
    context.PrintJson(version);
  } else {
    context.out() << "imported " << Selector(version) << ": "
                  << FormatCount(version.parameter_count()) << " parameters, "
                  << Shape(version.config()) << '\n';
  }
  return absl::OkStatus();
}

absl::Status List(CommandContext& context) {
  v1::ListModelsResponse all;
  ATTUNE_RETURN_IF_ERROR(ForEachPage(
      v1::ListModelsRequest(),
      [&](const auto& request) { return context.client().ListModels(request); },
      [&](v1::ListModelsResponse& page) {
        all.mutable_models()->MergeFrom(page.models());
      }));
  if (context.json()) {
    context.PrintJson(all);
    return absl::OkStatus();
  }
  Table table({"NAME", "VERSIONS", "ALIASES", "CREATED"});
  for (const v1::Model& model : all.models()) {
    std::vector<std::string> aliases;
    for (const auto& [alias, version] : model.aliases()) {
      aliases.push_back(absl::StrCat(alias, "=", version));
    }
    std::sort(aliases.begin(), aliases.end());
    table.AddRow({model.name(), absl::StrCat(model.version_count()),
                  absl::StrJoin(aliases, " "),
                  FormatTime(model.create_time())});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

absl::Status Show(CommandContext& context, const std::string& name) {
  v1::ListVersionsRequest request;
  request.set_model(name);
  v1::ListVersionsResponse all;
  ATTUNE_RETURN_IF_ERROR(ForEachPage(
      request,
      [&](const auto& page) { return context.client().ListVersions(page); },
      [&](v1::ListVersionsResponse& page) {
        all.mutable_versions()->MergeFrom(page.versions());
      }));
  if (context.json()) {
    context.PrintJson(all);
    return absl::OkStatus();
  }
  if (!all.versions().empty()) {
    context.out() << name << ": " << Shape(all.versions(0).config()) << "\n\n";
  }
  Table table({"VERSION", "SOURCE", "BASE", "DATASET", "JOB", "SIZE", "OWN",
               "BOUNDS", "ALIASES", "CREATED"});
  for (const v1::Version& version : all.versions()) {
    table.AddRow({Selector(version), SourceName(version), version.base(),
                  version.dataset(), version.job_id(),
                  FormatBytes(version.size_bytes()),
                  FormatBytes(version.own_size_bytes()),
                  !version.guarded()                ? ""
                  : version.broken_bounds().empty() ? "held"
                                                    : "broken",
                  absl::StrJoin(version.aliases(), " "),
                  FormatTime(version.create_time())});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

absl::Status Alias(CommandContext& context, const std::string& name,
                   const std::string& alias, int version, bool force) {
  v1::SetAliasRequest request;
  request.set_model(name);
  request.set_alias(alias);
  request.set_version(version);
  request.set_force(force);
  ATTUNE_ASSIGN_OR_RETURN(const v1::Model model,
                          context.client().SetAlias(request));
  if (context.json()) {
    context.PrintJson(model);
  } else if (version == 0) {
    context.out() << "removed " << name << '@' << alias << '\n';
  } else {
    context.out() << name << '@' << alias << " is " << name << ':' << version
                  << '\n';
  }
  return absl::OkStatus();
}

// Where an export goes, given as --out: a file, or for OpenAI's format also a
// folder that is there.
std::string ExportFile(const std::string& out) {
  std::error_code code;
  return std::filesystem::is_directory(out, code)
             ? (std::filesystem::path(out) /
                ModelFileName(ModelFormat::kOpenAi))
                   .string()
             : out;
}

absl::StatusOr<int64_t> Download(CommandContext& context,
                                 const std::string& version,
                                 const std::string& path) {
  ProgressLine line(context.console().err, context.console().err_is_terminal,
                    context.console().width);
  return context.client().ExportVersion(version, path,
                                        ShowTransfer(line, "downloaded"));
}

// Exports to a folder of another program's files. A folder that is made here
// and stays empty goes again.
absl::Status ExportFolder(CommandContext& context, const std::string& version,
                          ModelFormat format, const std::string& folder) {
  std::error_code code;
  const bool made = std::filesystem::create_directories(folder, code);
  if (!std::filesystem::is_directory(folder, code)) {
    return Error(absl::StatusCode::kFailedPrecondition, "FILE_NOT_WRITTEN",
                 absl::StrCat("cannot make the folder ", folder,
                              ": name a new one with --out"));
  }
  const std::string download =
      absl::StrCat(folder, "/.download-", RandomHex(4), ".safetensors");
  absl::Status status = Download(context, version, download).status();
  if (status.ok()) status = WriteModelFolder(download, format, folder);
  std::filesystem::remove(download, code);
  if (!status.ok() && made) std::filesystem::remove(folder, code);
  return status;
}

absl::Status Export(CommandContext& context, const std::string& version,
                    const std::string& format_name, const std::string& out) {
  ATTUNE_ASSIGN_OR_RETURN(const ModelFormat format,
                          ParseModelFormat(format_name));
  std::string path = out;
  if (format == ModelFormat::kOpenAi) {
    path = ExportFile(out);
    ATTUNE_RETURN_IF_ERROR(Download(context, version, path).status());
  } else {
    ATTUNE_RETURN_IF_ERROR(ExportFolder(context, version, format, out));
    path = (std::filesystem::path(out) / ModelFileName(format)).string();
  }
  if (context.json()) {
    v1::GetVersionRequest request;
    request.set_version(version);
    ATTUNE_ASSIGN_OR_RETURN(const v1::Version exported,
                            context.client().GetVersion(request));
    context.PrintJson(exported);
  } else {
    std::error_code code;
    context.out() << "wrote " << version << " to " << path << " ("
                  << FormatBytes(static_cast<int64_t>(
                         std::filesystem::file_size(path, code)))
                  << ")\n";
  }
  return absl::OkStatus();
}

absl::Status Delete(CommandContext& context, const std::string& name) {
  v1::DeleteModelRequest request;
  request.set_name(name);
  ATTUNE_RETURN_IF_ERROR(context.client().DeleteModel(request));
  if (context.json()) {
    context.PrintJson(v1::DeleteModelResponse());
  } else {
    context.out() << "deleted model " << name << '\n';
  }
  return absl::OkStatus();
}

// What the subcommands' options are bound to.
struct State {
  std::string name;
  std::string path;
  std::string alias;
  std::string format = "openai";
  int version = 0;
  bool force = false;
};

void AddExport(CLI::App& model, const std::shared_ptr<State>& state,
               CommandContext& context) {
  CLI::App* command = model.add_subcommand(
      "export", "Write a version as safetensors, for Attune or other programs");
  command->add_option("version", state->name, "NAME, NAME:NUMBER or NAME@ALIAS")
      ->required();
  command
      ->add_option("--format", state->format,
                   "openai: one file with OpenAI's names; huggingface: a "
                   "folder for CLIPModel.from_pretrained; open_clip: a folder "
                   "for create_model(\"local-dir:FOLDER\")")
      ->type_name("NAME")
      ->check(
          CLI::IsMember({"openai", "huggingface", "open_clip"}).description(""))
      ->capture_default_str();
  command
      ->add_option("--out", state->path,
                   "The file to write, or the folder for the other formats; "
                   "what is there under the same names is replaced")
      ->required();
  command->footer(
      "Examples:\n  attune model export robust@stable --out "
      "robust.safetensors\n"
      "  attune model export robust@stable --format huggingface --out "
      "robust-clip");
  command->callback([state, &context] {
    context.SetAction([state, &context] {
      return Export(context, state->name, state->format, state->path);
    });
  });
}

}  // namespace

void AddModelCommand(CLI::App& app, CommandContext& context) {
  auto state = std::make_shared<State>();
  CLI::App* model = app.add_subcommand("model", "Import, name and export");
  model->require_subcommand(1);

  CLI::App* import_command = model->add_subcommand(
      "import", "Make a version from safetensors in OpenAI's layout");
  import_command
      ->add_option("name", state->name, "The model; made when missing")
      ->required();
  import_command->add_option("file", state->path, "The safetensors file")
      ->required();
  import_command->footer(
      "Example:\n  attune model import base tiny.safetensors\n"
      "attune-convert turns other formats into safetensors.");
  import_command->callback([state, &context] {
    context.SetAction([state, &context] {
      return Import(context, state->name, state->path);
    });
  });

  CLI::App* list = model->add_subcommand("list", "All models");
  list->footer("Example:\n  attune model list");
  list->callback(
      [&context] { context.SetAction([&context] { return List(context); }); });

  CLI::App* show = model->add_subcommand("show", "The versions of a model");
  show->add_option("name", state->name, "The model")->required();
  show->footer("Example:\n  attune model show robust");
  show->callback([state, &context] {
    context.SetAction([state, &context] { return Show(context, state->name); });
  });

  CLI::App* alias = model->add_subcommand("alias", "Name a version");
  alias->add_option("name", state->name, "The model")->required();
  alias->add_option("alias", state->alias, "The alias")->required();
  alias->add_option("version", state->version, "Its number; 0 removes the name")
      ->required();
  alias->add_flag("--force", state->force,
                  "Also a version that breaks a bound of its job's guard");
  alias->footer(
      "Example:\n  attune model alias robust stable 1     (robust@stable)");
  alias->callback([state, &context] {
    context.SetAction([state, &context] {
      return Alias(context, state->name, state->alias, state->version,
                   state->force);
    });
  });

  AddExport(*model, state, context);

  CLI::App* remove =
      model->add_subcommand("delete", "Delete a model with its versions");
  remove->add_option("name", state->name, "The model")->required();
  remove->footer("Example:\n  attune model delete robust");
  remove->callback([state, &context] {
    context.SetAction(
        [state, &context] { return Delete(context, state->name); });
  });
}

}  // namespace attune::client
