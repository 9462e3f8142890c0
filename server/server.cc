#include "server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <spdlog/spdlog.h>

#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/status_macros.h"
#include "server/components.h"
#include "server/core/ticker.h"
#include "server/metrics/exposer.h"
#include "server/services/dataset_service.h"
#include "server/services/inference_service.h"
#include "server/services/job_service.h"
#include "server/services/model_service.h"
#include "server/services/serve_stream.h"
#include "server/services/watch_streams.h"
#include "server/services/worker_service.h"

namespace attune {
namespace {

// The host of HOST:PORT, without an IPv6 address's brackets.
absl::string_view HostOf(absl::string_view address) {
  const size_t colon = address.rfind(':');
  absl::string_view host = address.substr(0, colon);
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  return host;
}

bool IsLoopback(absl::string_view address) {
  const absl::string_view host = HostOf(address);
  return host == "localhost" || host == "::1" ||
         absl::StartsWith(host, "127.") || absl::StartsWith(address, "unix:");
}

// How long the queue position that a watcher sees may be old.
constexpr absl::Duration kRefreshInterval = absl::Seconds(2);

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(const ServerOptions& options) : options_(options) {}
  ~GrpcServer() override { Drain(); }

  absl::Status Begin(Clock& clock);

  const std::string& address() const override { return address_; }
  const std::string& metrics_address() const override {
    return metrics_address_;
  }
  void Drain() override;

 private:
  absl::Status BeginGrpc(Clock& clock);
  void BuildServices(Clock& clock);

  const ServerOptions options_;
  metrics::PrometheusMetrics metrics_;
  Stores stores_;
  std::optional<Components> components_;
  services::Drain drain_;
  services::CallEnvironment environment_;
  std::optional<services::ServeStreams> serve_streams_;
  std::optional<services::WatchStreams> watch_streams_;
  // Stops before the streams go.
  std::optional<core::Ticker> refresh_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<metrics::Exposer> exposer_;
  std::string address_;
  std::string metrics_address_;
  bool drained_ = false;
};

absl::Status GrpcServer::Begin(Clock& clock) {
  ATTUNE_RETURN_IF_ERROR(options_.lease.Validate());
  if (!options_.allow_plaintext && !IsLoopback(options_.listen)) {
    return Error(absl::StatusCode::kInvalidArgument, "PLAINTEXT_NOT_ALLOWED",
                 absl::StrCat("--listen ", options_.listen,
                              " is reachable from other machines and nothing "
                              "would be encrypted: listen on 127.0.0.1, or "
                              "pass --allow-plaintext in a network that you "
                              "trust"));
  }
  ATTUNE_ASSIGN_OR_RETURN(stores_, OpenStores(options_, clock, metrics_));
  components_.emplace(options_, clock, stores_, metrics_);
  ATTUNE_RETURN_IF_ERROR(components_->lease_manager.Recover());
  environment_ = {.executor = &components_->executor,
                  .metrics = &metrics_,
                  .drain = &drain_};
  ATTUNE_RETURN_IF_ERROR(BeginGrpc(clock));
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
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  ApplyServerLimits(builder);
  // Its size limit would apply to what a compressed request inflates to only.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             options_.max_concurrent_streams);
  // Two servers on one port would each get a part of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(options_.listen, grpc::InsecureServerCredentials(),
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
  const absl::Time deadline = absl::Now() + options_.drain_timeout;
  grpc_->GetHealthCheckService()->SetServingStatus(false);
  drain_.Start();
  refresh_.reset();
  components_->lease_manager.StopWaits();
  watch_streams_->CloseAll();
  // The workers stay until the calls that they answer have ended.
  if (!drain_.AwaitCalls(options_.drain_timeout)) {
    spdlog::warn("calls still run after {}: they are cancelled",
                 absl::FormatDuration(options_.drain_timeout));
  }
  components_->router.Stop();
  serve_streams_->CloseAll();
  grpc_->Shutdown(absl::ToChronoTime(deadline));
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
