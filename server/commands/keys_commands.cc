#include "server/commands/keys_commands.h"

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/access/api_keys.h"
#include "storage/data_dir_lock.h"
#include "storage/sqlite/sqlite_stores.h"

namespace attune {
namespace {

using ::attune::storage::Role;

const std::map<std::string, Role> kRoles = {{"user", Role::kUser},
                                            {"worker", Role::kWorker},
                                            {"operator", Role::kOperator}};

std::string NameOf(Role role) {
  for (const auto& [name, value] : kRoles) {
    if (value == role) return name;
  }
  return "unknown";
}

// The state of a data folder, and the folder's lock unless a server has it.
struct OpenState {
  std::unique_ptr<storage::DataDirLock> lock;
  std::unique_ptr<storage::StateStore> store;
};

absl::StatusOr<OpenState> Open(const std::string& data_dir) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) {
    return Error(absl::StatusCode::kFailedPrecondition, "DATA_DIR_UNUSABLE",
                 absl::StrCat("cannot make the data folder ", data_dir, ": ",
                              error.message()));
  }
  OpenState state;
  storage::SqliteOptions options;
  auto lock = storage::DataDirLock::Acquire(data_dir);
  if (lock.ok()) {
    state.lock = *std::move(lock);
  } else if (ErrorReason(lock.status()) == "DATA_DIR_LOCKED") {
    // A server runs. SQLite keeps the two apart, but the schema is its own.
    options.migrate = false;
  } else {
    return lock.status();
  }
  ATTUNE_ASSIGN_OR_RETURN(
      state.store,
      storage::OpenStateStore(absl::StrCat(data_dir, "/state.db"), options));
  return state;
}

absl::Status Create(const std::string& data_dir, const std::string& name,
                    Role role) {
  ATTUNE_ASSIGN_OR_RETURN(const OpenState state, Open(data_dir));
  ATTUNE_ASSIGN_OR_RETURN(
      const std::string key,
      core::CreateApiKey(*state.store, name, role, absl::Now()));
  // Alone on standard output, which may be a file.
  std::cout << key << std::endl;
  std::cerr << "made the " << NameOf(role) << " key '" << name
            << "'; it is shown this once" << std::endl;
  return absl::OkStatus();
}

absl::Status List(const std::string& data_dir) {
  ATTUNE_ASSIGN_OR_RETURN(const OpenState state, Open(data_dir));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::ApiKey> keys,
                          core::ListApiKeys(*state.store));
  constexpr char kLine[] = "%-14s%-10s%-22s%-22s%s\n";
  std::printf(kLine, "ID", "ROLE", "CREATED", "REVOKED", "NAME");
  const auto format = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
  };
  for (const storage::ApiKey& key : keys) {
    std::printf(kLine, key.id.c_str(), NameOf(key.role).c_str(),
                format(key.create_time).c_str(),
                key.revoke_time ? format(*key.revoke_time).c_str() : "-",
                key.name.c_str());
  }
  return absl::OkStatus();
}

absl::Status Revoke(const std::string& data_dir, const std::string& key) {
  ATTUNE_ASSIGN_OR_RETURN(const OpenState state, Open(data_dir));
  ATTUNE_ASSIGN_OR_RETURN(const storage::ApiKey revoked,
                          core::RevokeApiKey(*state.store, key, absl::Now()));
  std::cerr << "revoked " << revoked.id << " '" << revoked.name
            << "'; a running server refuses it within 2 s" << std::endl;
  return absl::OkStatus();
}

}  // namespace

void AddKeysCommands(CLI::App& app, std::function<absl::Status()>* command) {
  struct Arguments {
    std::string data_dir;
    std::string name;
    Role role = Role::kUser;
    std::string key;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* keys = app.add_subcommand(
      "keys", "API keys of a data folder, also while its server runs");
  keys->require_subcommand(1);
  const auto add = [&](const char* name, const char* help,
                       std::function<absl::Status(const Arguments&)> body) {
    CLI::App* added = keys->add_subcommand(name, help);
    added->add_option("--data-dir", arguments->data_dir, "The server's folder")
        ->required();
    added->callback([arguments, command, body = std::move(body)] {
      *command = [arguments, body] { return body(*arguments); };
    });
    return added;
  };

  CLI::App* create =
      add("create", "Make a key and print it, this once",
          [](const Arguments& arguments) {
            return Create(arguments.data_dir, arguments.name, arguments.role);
          });
  create->add_option("--name", arguments->name, "What people call it")
      ->required();
  create
      ->add_option("--role", arguments->role,
                   "user: datasets, jobs, models and inference; worker: the "
                   "server's tasks; operator: what a user may, and deleting")
      ->transform(
          CLI::CheckedTransformer(kRoles).description("user|worker|operator"))
      ->required();
  add("list", "Show all keys, no secrets",
      [](const Arguments& arguments) { return List(arguments.data_dir); });
  CLI::App* revoke = add("revoke", "End a key", [](const Arguments& arguments) {
    return Revoke(arguments.data_dir, arguments.key);
  });
  revoke->add_option("key", arguments->key, "Its name or id")->required();
}

}  // namespace attune
