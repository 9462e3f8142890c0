#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/context.h"
#include "client/commands/table.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

std::string Roles(const v1::Worker& worker) {
  std::vector<std::string> roles;
  for (const int role : worker.roles()) {
    roles.push_back(role == v1::WORKER_ROLE_TRAIN ? "train" : "serve");
  }
  return absl::StrJoin(roles, ",");
}

absl::Status List(CommandContext& context) {
  ATTUNE_ASSIGN_OR_RETURN(
      const v1::ListWorkersResponse response,
      context.client().ListWorkers(v1::ListWorkersRequest()));
  if (context.json()) {
    context.PrintJson(response);
    return absl::OkStatus();
  }
  Table table({"ID", "STATE", "ROLES", "DEVICE", "MEMORY", "TASK", "LOADED",
               "LAST SEEN"});
  for (const v1::Worker& worker : response.workers()) {
    table.AddRow(
        {worker.id(),
         WithoutPrefix("WORKER_STATE_", v1::WorkerState_Name(worker.state())),
         Roles(worker),
         absl::StrCat(worker.device().kind(), " (", worker.device().name(),
                      ")"),
         FormatBytes(worker.device().memory_bytes()), worker.task(),
         absl::StrJoin(worker.loaded_versions(), ","),
         FormatTime(worker.last_seen_time())});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

}  // namespace

void AddWorkerCommand(CLI::App& app, CommandContext& context) {
  CLI::App* worker = app.add_subcommand("worker", "The workers");
  worker->require_subcommand(1);
  CLI::App* list = worker->add_subcommand("list", "All workers");
  list->footer("Example:\n  attune worker list");
  list->callback(
      [&context] { context.SetAction([&context] { return List(context); }); });
}

}  // namespace attune::client
