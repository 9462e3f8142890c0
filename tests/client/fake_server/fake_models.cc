#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "attune/v1/model_service.grpc.pb.h"
#include "common/digest.h"
#include "tests/client/fake_server/fake_server.h"
#include "tests/client/fake_server/fake_services.h"

namespace attune::client {
namespace {

using grpc::ServerContext;
using grpc::Status;

class FakeModels : public v1::ModelService::Service {
 public:
  explicit FakeModels(FakeServer& fake) : fake_(fake) {}

  Status ImportModel(ServerContext*,
                     grpc::ServerReader<v1::ImportModelRequest>* reader,
                     v1::Version* response) override {
    v1::ImportModelRequest request;
    reader->Read(&request);
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request.header().request_id());
    fake_.offsets.push_back(request.header().offset());
    std::string bytes =
        fake_.kept.substr(0, static_cast<size_t>(request.header().offset()));
    while (reader->Read(&request) && request.has_chunk()) {
      fake_.chunk_sizes.push_back(request.chunk().size());
      bytes += request.chunk();
    }
    if (request.end().size_bytes() != static_cast<int64_t>(bytes.size()) ||
        request.end().sha256() != Sha256Hex(bytes)) {
      return DigestError();
    }
    fake_.model_file = bytes;
    *response = fake_.version;
    return Status::OK;
  }

  Status GetImport(ServerContext*, const v1::GetImportRequest*,
                   v1::Import* response) override {
    absl::MutexLock lock(&fake_.mutex);
    if (!fake_.import.has_value()) {
      return Status(grpc::StatusCode::UNIMPLEMENTED, "");
    }
    *response = *fake_.import;
    return Status::OK;
  }

  Status GetVersion(ServerContext*, const v1::GetVersionRequest*,
                    v1::Version* response) override {
    FAKE_BEGIN(fake_);
    *response = fake_.version;
    return Status::OK;
  }

  Status ExportVersion(
      ServerContext*, const v1::ExportVersionRequest*,
      grpc::ServerWriter<v1::ExportVersionResponse>* writer) override {
    FAKE_BEGIN(fake_);
    SendInChunks(fake_.model_file, fake_.corrupt_downloads, writer);
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFakeModels(FakeServer& fake) {
  return std::make_unique<FakeModels>(fake);
}

}  // namespace attune::client
