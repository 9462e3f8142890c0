// attune-worker: flags, logging, signals.

#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/build_info.h"
#include "common/grpc/client_security_flags.h"
#include "common/ids.h"
#include "common/status_macros.h"
#include "worker/transport/stop_signal.h"
#include "worker/worker.h"

namespace attune {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Flags {
  WorkerOptions worker;
  ClientSecurityFiles security;
  std::vector<std::string> roles = {"train", "serve"};
  std::string log_level = "info";
  // CLI11 reads numbers.
  double checkpoint_interval = 600;
  double hand_back_limit = 60;
  double stall_after = 300;
  // The children's.
  bool run_task = false;
  bool run_serve = false;
};

// HOST-PID-RANDOM, or NAME.PID-RANDOM with the name of a certificate: the
// server takes such an id from its holder only.
absl::StatusOr<std::string> DefaultWorkerId(const std::string& certificate) {
  const std::string suffix = absl::StrCat(getpid(), "-", RandomHex(4));
  if (!certificate.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(const std::string name,
                            CertificateName(certificate));
    return absl::StrCat(name, ".", suffix);
  }
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, "-", suffix);
}

// What can only be told once all flags are known.
absl::Status Complete(Flags& flags) {
  WorkerOptions& worker = flags.worker;
  ATTUNE_ASSIGN_OR_RETURN(worker.security,
                          LoadClientSecurity(flags.security, worker.server));
  if (worker.worker_id.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(worker.worker_id,
                            DefaultWorkerId(flags.security.tls.certificate));
  }
  return absl::OkStatus();
}

std::string DefaultCacheDir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME");
      cache != nullptr && *cache != '\0') {
    return absl::StrCat(cache, "/attune-worker");
  }
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : absl::StrCat(home, "/.cache/attune-worker");
}

void AddFlags(CLI::App& app, Flags& flags) {
  WorkerOptions& worker = flags.worker;
  app.add_option("--server", worker.server, "HOST:PORT of attune-server")
      ->required();
  app.add_option("--device", worker.device,
                 "auto (a GPU where there is one), cpu, cuda or cuda:N")
      ->capture_default_str();
  app.add_option("--roles", flags.roles,
                 "What to do: train (also evaluates and validates), serve")
      ->delimiter(',')
      ->check(CLI::IsMember({"train", "serve"}))
      ->capture_default_str();
  app.add_option("--cache-dir", worker.cache_dir,
                 "Folder for decoded pictures; \"\": none")
      ->capture_default_str();
  app.add_option("--threads", worker.threads,
                 "Threads that compute, and as many that decode, in each of "
                 "the worker's processes")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--serve-slots", worker.serve_slots,
                 "Versions to serve at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--checkpoint-interval", flags.checkpoint_interval,
                 "Seconds after which training stores a checkpoint in any case")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--hand-back-limit", flags.hand_back_limit,
                 "Seconds that a task has to store a checkpoint when it is "
                 "asked to stop; then the one before stands")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--stall-after", flags.stall_after,
                 "Seconds after which a task that gets nothing done is killed "
                 "and tried again, but not before --stall-steps steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--stall-steps", worker.stall.steps,
                 "Median steps that it may take at least")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--worker-id", worker.worker_id,
                 "Name of this worker; default HOST-PID-RANDOM, or "
                 "NAME.PID-RANDOM with a certificate for NAME");
  AddClientSecurityFlags(app, flags.security);
  app.add_option("--log-level", flags.log_level,
                 "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  app.set_version_flag("--version", BuildInfo());
  // Without a group they are not shown: for the worker itself.
  app.add_flag("--run-task", flags.run_task)->group("");
  app.add_flag("--run-serve", flags.run_serve)->group("");
}

// This program as a child of the given kind.
std::vector<std::string> ChildCommand(const Flags& flags,
                                      const std::string& kind) {
  const WorkerOptions& worker = flags.worker;
  std::vector<std::string> command = {
      std::filesystem::read_symlink("/proc/self/exe"),
      kind,
      "--server=" + worker.server,
      "--device=" + worker.device,
      "--cache-dir=" + worker.cache_dir,
      absl::StrCat("--threads=", worker.threads),
      absl::StrCat("--serve-slots=", worker.serve_slots),
      absl::StrCat("--checkpoint-interval=", flags.checkpoint_interval),
      "--worker-id=" + worker.worker_id,
      "--log-level=" + flags.log_level};
  // The paths: a child reads the files itself, and no secret is on a command
  // line.
  const ClientSecurityFiles& security = flags.security;
  for (const auto& [flag, path] :
       {std::pair("--tls-ca=", security.tls.ca),
        std::pair("--tls-certificate=", security.tls.certificate),
        std::pair("--tls-key=", security.tls.key),
        std::pair("--api-key-file=", security.api_key)}) {
    if (!path.empty()) command.push_back(flag + path);
  }
  return command;
}

int RunParent(const Flags& flags, const sigset_t& stop_signals) {
  // The children's threads must not spin while they wait for each other: on a
  // busy machine that makes everything many times slower.
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  // Outlives the thread that waits for signals.
  static transport::StopSignal drain;
  std::thread([stop_signals] {
    int signal = 0;
    sigwait(&stop_signals, &signal);
    spdlog::info(
        "stopping: the task is handed back at its next step, a second signal "
        "stops at once");
    drain.Stop();
    sigwait(&stop_signals, &signal);
    // The kernel kills the children with the threads that started them.
    _exit(kExitFailed);
  }).detach();
  const absl::Status status =
      RunWorker(flags.worker, ChildCommand(flags, "--run-task"),
                ChildCommand(flags, "--run-serve"), drain);
  if (!status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    return kExitFailed;
  }
  spdlog::info("stopped");
  return 0;
}

}  // namespace

int Main(int argc, char** argv) {
  // Before the first thread, so that all of them leave the signals to sigwait.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  CLI::App app(
      "attune-worker: trains, evaluates and serves models for attune-server",
      "attune-worker");
  Flags flags;
  flags.worker.cache_dir = DefaultCacheDir();
  flags.worker.threads =
      std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  flags.worker.checkpoint_interval = absl::Seconds(flags.checkpoint_interval);
  flags.worker.hand_back_limit = absl::Seconds(flags.hand_back_limit);
  flags.worker.stall.shortest = absl::Seconds(flags.stall_after);
  const auto has_role = [&](const char* role) {
    return std::count(flags.roles.begin(), flags.roles.end(), role) > 0;
  };
  flags.worker.train = has_role("train");
  flags.worker.serve = has_role("serve");
  const char* const name = flags.run_task    ? "task"
                           : flags.run_serve ? "serve"
                                             : "attune-worker";
  spdlog::set_default_logger(spdlog::stderr_color_mt(name));
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  if (absl::Status status = Complete(flags); !status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    return kExitFailed;
  }
  if (flags.run_task) return RunTaskChild(flags.worker);
  if (flags.run_serve) return RunServeChild(flags.worker);
  return RunParent(flags, stop_signals);
}

}  // namespace attune

int main(int argc, char** argv) { return attune::Main(argc, argv); }
