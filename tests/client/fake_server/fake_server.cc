#include "tests/client/fake_server/fake_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "absl/strings/str_cat.h"
#include "common/grpc/channel.h"
#include "tests/client/fake_server/fake_services.h"

namespace attune::client {

FakeServer::FakeServer() {
  services_.push_back(MakeFakeDatasets(*this));
  services_.push_back(MakeFakeJobs(*this));
  services_.push_back(MakeFakeModels(*this));
  services_.push_back(MakeFakeInference(*this));
  services_.push_back(MakeFakeWorkers(*this));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  ApplyServerLimits(builder);
  for (const auto& service : services_) builder.RegisterService(service.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() { server_->Shutdown(); }

absl::Status FakeServer::Begin() {
  absl::MutexLock lock(&mutex);
  ++call_count;
  if (failures.empty()) return absl::OkStatus();
  absl::Status failure = failures.front();
  failures.pop_front();
  return failure;
}

}  // namespace attune::client
