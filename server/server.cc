#include "server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/grpc/address.h"
#include "common/grpc/channel.h"
#include "common/grpc/tls.h"
#include "common/status_macros.h"
#include "server/components.h"
#include "server/core/access/api_keys.h"
#include "server/core/ticker.h"
#include "server/metrics/exposer.h"
#include "server/services/access.h"
#include "server/services/dataset_service.h"
#include "server/services/inference_service.h"
#include "server/services/job_service.h"
#include "server/services/model_service.h"
#include "server/services/serve_stream.h"
#include "server/services/watch_streams.h"
#include "server/services/worker_service.h"

namespace attune {
namespace {

// How long a revoked key may go on.
constexpr absl::Duration kKeyRefresh = absl::Seconds(1);

absl::Status CheckEncryption(const ServerOptions& options) {
  ATTUNE_RETURN_IF_ERROR(CheckTlsFiles(options.tls));
  if (!options.tls.certificate.empty()) return absl::OkStatus();
  if (!options.tls.ca.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, "TLS_FILE_INVALID",
                 "--tls-client-ca needs --tls-certificate and --tls-key: "
                 "clients show certificates over TLS only");
  }
  if (options.allow_plaintext || IsLoopback(options.listen)) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kInvalidArgument, "PLAINTEXT_NOT_ALLOWED",
               absl::StrCat("--listen ", options.listen,
                            " is reachable from other machines and nothing "
                            "would be encrypted: listen on 127.0.0.1, use TLS "
                            "(--tls-certificate, --tls-key), or pass "
                            "--allow-plaintext in a network that you trust"));
}

// How long the queue position that a watcher sees may be old.
constexpr absl::Duration kRefreshInterval = absl::Seconds(2);

// How long a connection without calls may take to be closed: its client may not
// be reading.
constexpr absl::Duration kGoodbye = absl::Seconds(1);

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(const ServerOptions& options)
      : options_(options),
        access_(keys_, {.required = options.require_auth,
                        .worker_certificates = !options.tls.ca.empty()}),
        slots_{.uploads = {"max-uploads", options.max_uploads},
               .downloads = {"max-downloads", options.max_downloads},
               .watches = {"max-watches", options.max_watches}} {}
  ~GrpcServer() override { Drain(); }

  absl::Status Begin(Clock& clock);

  const std::string& address() const override { return address_; }
  const std::string& metrics_address() const override {
    return metrics_address_;
  }
  void Drain() override;

 private:
  absl::Status BeginGrpc(Clock& clock);
  void RefreshKeys();
  void BuildServices(Clock& clock);

  const ServerOptions options_;
  metrics::PrometheusMetrics metrics_;
  Stores stores_;
  std::optional<Components> components_;
  core::ApiKeys keys_;
  services::Access access_;
  services::StreamSlots slots_;
  services::Drain drain_;
  services::CallEnvironment environment_;
  std::optional<services::ServeStreams> serve_streams_;
  std::optional<services::WatchStreams> watch_streams_;
  // Stops before the streams go.
  std::optional<core::Ticker> refresh_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> grpc_;
  std::optional<core::Ticker> key_ticker_;
  std::unique_ptr<metrics::Exposer> exposer_;
  std::string address_;
  std::string metrics_address_;
  bool drained_ = false;
};

absl::Status GrpcServer::Begin(Clock& clock) {
  ATTUNE_RETURN_IF_ERROR(options_.lease.Validate());
  ATTUNE_RETURN_IF_ERROR(CheckEncryption(options_));
  ATTUNE_ASSIGN_OR_RETURN(stores_, OpenStores(options_, clock, metrics_));
  components_.emplace(options_, clock, stores_, metrics_);
  ATTUNE_RETURN_IF_ERROR(components_->lease_manager.Recover());
  ATTUNE_RETURN_IF_ERROR(keys_.Refresh(components_->state).status());
  environment_ = {.executor = &components_->executor,
                  .metrics = &metrics_,
                  .drain = &drain_,
                  .access = &access_,
                  .slots = &slots_};
  ATTUNE_RETURN_IF_ERROR(BeginGrpc(clock));
  key_ticker_.emplace(kKeyRefresh, [this] { RefreshKeys(); });
  if (!options_.metrics.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(
        exposer_, metrics::Exposer::Start(
                      options_.metrics,
                      {metrics_.registry(),
                       std::make_shared<metrics::StateCollector>(
                           [this] { return components_->ReadFigures(); })}));
    metrics_address_ = exposer_->address();
  }
  return absl::OkStatus();
}

void GrpcServer::RefreshKeys() {
  const absl::StatusOr<bool> changed = keys_.Refresh(components_->state);
  if (!changed.ok()) {
    spdlog::error("reading the API keys: {}", changed.status().ToString());
  } else if (*changed) {
    spdlog::info("the API keys have changed");
    watch_streams_->CloseRefused();
    serve_streams_->CloseRefused();
  }
}

void GrpcServer::BuildServices(Clock& clock) {
  Components& parts = *components_;
  serve_streams_.emplace(environment_, parts.router, parts.workers);
  services_.push_back(std::make_unique<services::DatasetService>(
      environment_, parts.datasets, parts.blobs));
  watch_streams_.emplace(environment_, parts.jobs, parts.signals);
  refresh_.emplace(kRefreshInterval,
                   [this] { watch_streams_->RefreshWaiting(); });
  services_.push_back(std::make_unique<services::JobService>(
      environment_, parts.jobs, *watch_streams_));
  services_.push_back(
      std::make_unique<services::ModelService>(environment_, parts.models));
  services_.push_back(std::make_unique<services::InferenceService>(
      environment_, parts.resolver, parts.embedder, parts.classifier));
  services_.push_back(std::make_unique<services::WorkerService>(
      environment_, clock, parts.workers, parts.lease_manager, parts.reports,
      parts.blobs, [this](grpc::CallbackServerContext* context) {
        return serve_streams_->Begin(context);
      }));
}

absl::Status GrpcServer::BeginGrpc(Clock& clock) {
  BuildServices(clock);
  grpc::EnableDefaultHealthCheckService(true);
  // Reflection is gRPC's own service, which knows no roles.
  if (!access_.required()) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  }
  grpc::ServerBuilder builder;
  ApplyServerLimits(builder);
  // A message is refused for its size once it has arrived: without this, one of
  // a gibibyte takes that much memory.
  grpc::ResourceQuota quota("attune-server");
  quota.Resize(static_cast<size_t>(options_.max_buffered_bytes));
  builder.SetResourceQuota(quota);
  // Its size limit would apply to what a compressed request inflates to only.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             options_.max_concurrent_streams);
  // Two servers on one port would each get a part of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(options_.listen,
                           options_.tls.certificate.empty()
                               ? grpc::InsecureServerCredentials()
                               : TlsServer(options_.tls),
                           &port);
  for (const auto& service : services_) builder.RegisterService(service.get());
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr || port == 0) {
    return Error(absl::StatusCode::kUnavailable, "ADDRESS_NOT_AVAILABLE",
                 absl::StrCat("cannot listen on ", options_.listen,
                              ": it is taken or not this machine's"));
  }
  address_ =
      absl::StartsWith(options_.listen, "unix:")
          ? options_.listen
          : absl::StrCat(options_.listen.substr(0, options_.listen.rfind(':')),
                         ":", port);
  for (const char* name : {"DatasetService", "JobService", "ModelService",
                           "InferenceService", "WorkerService"}) {
    grpc_->GetHealthCheckService()->SetServingStatus(
        absl::StrCat("attune.v1.", name), true);
  }
  return absl::OkStatus();
}

void GrpcServer::Drain() {
  if (drained_ || grpc_ == nullptr) return;
  drained_ = true;
  key_ticker_.reset();
  const absl::Time deadline = absl::Now() + options_.drain_timeout;
  grpc_->GetHealthCheckService()->SetServingStatus(false);
  drain_.Start();
  refresh_.reset();
  components_->lease_manager.StopWaits();
  watch_streams_->CloseAll();
  // The workers stay until the calls that they answer have ended.
  // The last tenth is for closing what does not read, about two seconds.
  const absl::Duration calls_may_run = options_.drain_timeout * 0.9;
  if (!drain_.AwaitCalls(calls_may_run)) {
    spdlog::warn("calls still run after {}: they are cancelled",
                 absl::FormatDuration(calls_may_run));
  }
  components_->router.Stop();
  serve_streams_->CloseAll();
  grpc_->Shutdown(
      absl::ToChronoTime(std::min(deadline, absl::Now() + kGoodbye)));
  grpc_->Wait();
  exposer_ = nullptr;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, Clock& clock) {
  auto server = std::make_unique<GrpcServer>(options);
  ATTUNE_RETURN_IF_ERROR(server->Begin(clock));
  return server;
}

}  // namespace attune
