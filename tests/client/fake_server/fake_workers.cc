#include <grpcpp/grpcpp.h>

#include <memory>

#include "attune/v1/worker_service.grpc.pb.h"
#include "tests/client/fake_server/fake_server.h"
#include "tests/client/fake_server/fake_services.h"

namespace attune::client {
namespace {

using grpc::ServerContext;
using grpc::Status;

class FakeWorkers : public v1::WorkerService::Service {
 public:
  explicit FakeWorkers(FakeServer& fake) : fake_(fake) {}

  Status ListWorkers(ServerContext*, const v1::ListWorkersRequest*,
                     v1::ListWorkersResponse* response) override {
    FAKE_BEGIN(fake_);
    v1::Worker& worker = *response->add_workers();
    worker.set_id("host-1-abc");
    worker.set_state(v1::WORKER_STATE_IDLE);
    worker.add_roles(v1::WORKER_ROLE_TRAIN);
    worker.mutable_device()->set_kind("cpu");
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFakeWorkers(FakeServer& fake) {
  return std::make_unique<FakeWorkers>(fake);
}

}  // namespace attune::client
