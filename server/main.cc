// attune-server: flags, logging, signals.

#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>
#include <thread>

#include "common/build_info.h"
#include "server/commands/backup_commands.h"
#include "server/commands/keys_commands.h"
#include "server/server.h"

namespace attune {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Flags {
  ServerOptions server;
  std::string address_file;
  std::string log_level = "info";
  std::string check = "quick";
};

// CLI11 reads numbers; these are what they are turned into.
struct Seconds {
  double lease = 30;
  double heartbeat = 5;
  double fence = 0;
  double retry_delay = 10;
  double max_retry_delay = 600;
  double drain = 30;
  double no_worker_wait = 5;
  double batch_delay = 0.003;
  double upload_lifetime = 24 * 3600;
};

void AddFlags(CLI::App& app, Flags& flags, Seconds& seconds) {
  ServerOptions& server = flags.server;
  app.add_option("--data-dir", server.data_dir,
                 "Folder of state.db and blobs.db; made when missing");
  app.add_option("--listen", server.listen,
                 "HOST:PORT of the API; port 0: a free one")
      ->capture_default_str();
  app.add_option("--metrics", server.metrics,
                 "HOST:PORT of /metrics; port 0: a free one; \"\": none")
      ->capture_default_str();
  app.add_option("--tls-certificate", server.tls.certificate,
                 "PEM file of the server's certificate; read again when it "
                 "changes");
  app.add_option("--tls-key", server.tls.key, "PEM file of its private key");
  app.add_option("--tls-client-ca", server.tls.ca,
                 "PEM file of the authorities that sign workers' certificates");
  app.add_flag("--allow-plaintext", server.allow_plaintext,
               "Listen without encryption on more than loopback");
  app.add_flag("--require-auth", server.require_auth,
               "Refuse calls without credentials even before the first API "
               "key is made");
  app.add_option("--address-file", flags.address_file,
                 "File to write listen=HOST:PORT and metrics=HOST:PORT to once "
                 "the server serves");
  app.add_option("--log-level", flags.log_level,
                 "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();

  app.add_option("--check", flags.check,
                 "What is read of the databases at the start: none; quick: "
                 "state.db and the list of blobs; full: everything, every "
                 "blob too")
      ->check(CLI::IsMember({"none", "quick", "full"}))
      ->capture_default_str();
  app.add_option("--min-free-bytes", server.disk.min_free_bytes,
                 "Uploads are refused when the disk has fewer free")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--reserve-bytes", server.disk.reserve_bytes,
                 "Kept free for the state of jobs, in the file RESERVE")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();

  app.add_option("--upload-lifetime", seconds.upload_lifetime,
                 "Seconds for which an upload that was cut can go on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();

  app.add_option("--lease-duration", seconds.lease,
                 "Seconds after which a silent worker loses its task")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--heartbeat-interval", seconds.heartbeat,
                 "Seconds between a worker's heartbeats")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option(
         "--fence-after", seconds.fence,
         "Seconds after its last answered heartbeat when a worker stops "
         "its task by itself; default two thirds of the lease")
      ->check(CLI::PositiveNumber);
  app.add_option("--max-failures", server.lease.max_failures,
                 "Failed attempts after which a job is FAILED")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--retry-delay", seconds.retry_delay,
                 "Seconds before a job is tried again after its second failure "
                 "(the first: at once), doubled by each further one")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-retry-delay", seconds.max_retry_delay,
                 "Seconds that it is doubled up to")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--drain-timeout", seconds.drain,
                 "Seconds that running calls have after SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--blocking-threads", server.blocking_threads,
                 "Threads for work that waits for the disk")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--max-buffered-bytes", server.max_buffered_bytes,
                 "Bytes of messages that are arriving, of all connections; "
                 "beyond it gRPC resets some")
      ->check(CLI::Range(int64_t{64} << 20, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--max-streams", server.max_concurrent_streams,
                 "Calls at a time on one connection")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-uploads", server.max_uploads,
                 "Uploads and imports at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-downloads", server.max_downloads,
                 "Downloads and exports at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-watches", server.max_watches, "Watched jobs at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();

  core::BatcherOptions& batcher = server.router.batcher;
  app.add_option("--max-queued-images", batcher.max_queued_images,
                 "Images that may wait for a worker")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-queued-texts", batcher.max_queued_texts,
                 "Texts that may wait for a worker")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--max-queued-bytes", batcher.max_queued_bytes,
                 "Bytes of both")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch-delay", seconds.batch_delay,
                 "Seconds that an input waits for others to share its batch")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--no-worker-wait", seconds.no_worker_wait,
                 "Seconds that an inference call waits for a first worker")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--text-cache-bytes", server.text_cache_bytes,
                 "Memory for embeddings of texts")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.set_version_flag("--version", BuildInfo());
}

void Apply(const Seconds& seconds, ServerOptions& server) {
  server.lease.duration = absl::Seconds(seconds.lease);
  server.lease.heartbeat_interval = absl::Seconds(seconds.heartbeat);
  server.garbage.upload_lifetime = absl::Seconds(seconds.upload_lifetime);
  if (seconds.fence > 0) {
    server.lease.fence_after = absl::Seconds(seconds.fence);
  }
  server.lease.first_delay = absl::Seconds(seconds.retry_delay);
  server.lease.max_delay = absl::Seconds(seconds.max_retry_delay);
  server.drain_timeout = absl::Seconds(seconds.drain);
  server.router.no_worker_wait = absl::Seconds(seconds.no_worker_wait);
  server.router.batcher.max_delay = absl::Seconds(seconds.batch_delay);
}

// Written beside it and renamed, so that a reader finds all of it or nothing.
bool WriteAddresses(const std::string& path, const Server& server) {
  const std::string temporary = path + ".new";
  {
    std::ofstream file(temporary);
    file << "listen=" << server.address() << "\n";
    if (!server.metrics_address().empty()) {
      file << "metrics=" << server.metrics_address() << "\n";
    }
    if (!file.flush()) return false;
  }
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  return !error;
}

int Run(const Flags& flags, const sigset_t& stop_signals) {
  auto server = Server::Start(flags.server);
  if (!server.ok()) {
    spdlog::error("{}", std::string(server.status().message()));
    return kExitFailed;
  }
  spdlog::info("listening on {}", (*server)->address());
  if (!(*server)->metrics_address().empty()) {
    spdlog::info("metrics on http://{}/metrics", (*server)->metrics_address());
  }
  if (!flags.address_file.empty() &&
      !WriteAddresses(flags.address_file, **server)) {
    spdlog::error("cannot write {}", flags.address_file);
    return kExitFailed;
  }
  int signal = 0;
  sigwait(&stop_signals, &signal);
  spdlog::info(
      "stopping: running calls may end, a second signal stops at once");
  std::thread([stop_signals] {
    int second = 0;
    sigwait(&stop_signals, &second);
    _exit(kExitFailed);
  }).detach();
  (*server)->Drain();
  server->reset();
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

  CLI::App app("attune-server: datasets, jobs, models and inference over gRPC",
               "attune-server");
  Flags flags;
  Seconds seconds;
  AddFlags(app, flags, seconds);
  // What is done instead of serving.
  std::function<absl::Status()> command;
  AddBackupCommands(app, &command);
  AddKeysCommands(app, &command);
  app.require_subcommand(0, 1);
  app.callback([&] {
    if (app.get_subcommands().empty() && flags.server.data_dir.empty()) {
      throw CLI::RequiredError("--data-dir");
    }
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  Apply(seconds, flags.server);
  flags.server.check = flags.check == "full" ? storage::IntegrityCheck::kFull
                       : flags.check == "none"
                           ? storage::IntegrityCheck::kNone
                           : storage::IntegrityCheck::kQuick;
  spdlog::set_default_logger(spdlog::stderr_color_mt("attune-server"));
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  if (!command) return Run(flags, stop_signals);
  pthread_sigmask(SIG_UNBLOCK, &stop_signals, nullptr);
  if (absl::Status status = command(); !status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    return kExitFailed;
  }
  return 0;
}

}  // namespace attune

int main(int argc, char** argv) { return attune::Main(argc, argv); }
