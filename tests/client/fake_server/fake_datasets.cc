#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "attune/v1/dataset_service.grpc.pb.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/delimited.h"
#include "common/grpc/status_conversion.h"
#include "tests/client/fake_server/fake_server.h"
#include "tests/client/fake_server/fake_services.h"

namespace attune::client {
namespace {

using grpc::ServerContext;
using grpc::Status;

class FakeDatasets : public v1::DatasetService::Service {
 public:
  explicit FakeDatasets(FakeServer& fake) : fake_(fake) {}

  Status CreateDataset(ServerContext*, const v1::CreateDatasetRequest* request,
                       v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request->request_id());
    v1::Dataset& dataset = fake_.datasets[request->name()];
    dataset.set_name(request->name());
    dataset.set_state(v1::DATASET_STATE_OPEN);
    *dataset.mutable_candidates() = request->candidates();
    *response = dataset;
    return Status::OK;
  }

  Status GetDataset(ServerContext*, const v1::GetDatasetRequest* request,
                    v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    if (!fake_.validation.empty()) {
      fake_.datasets[request->name()] = fake_.validation.front();
      fake_.validation.pop_front();
    }
    const auto found = fake_.datasets.find(request->name());
    if (found == fake_.datasets.end()) {
      return ToGrpcStatus(NotFound("dataset", request->name()));
    }
    *response = found->second;
    return Status::OK;
  }

  // One dataset a page, so that clients have to turn pages.
  Status ListDatasets(ServerContext*, const v1::ListDatasetsRequest* request,
                      v1::ListDatasetsResponse* response) override {
    FAKE_BEGIN(fake_);
    auto at = fake_.datasets.lower_bound(request->page_token());
    if (at == fake_.datasets.end()) return Status::OK;
    *response->add_datasets() = at->second;
    if (++at != fake_.datasets.end()) {
      response->set_next_page_token(at->first);
    }
    return Status::OK;
  }

  Status SealDataset(ServerContext*, const v1::SealDatasetRequest* request,
                     v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request->request_id());
    v1::Dataset& dataset = fake_.datasets[request->name()];
    dataset.set_name(request->name());
    dataset.set_state(v1::DATASET_STATE_VALIDATING);
    dataset.set_status_message("no worker");
    *response = dataset;
    return Status::OK;
  }

  Status DropExamples(ServerContext*, const v1::DropExamplesRequest* request,
                      v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request->request_id());
    response->set_name(request->dataset());
    response->set_state(v1::DATASET_STATE_VALIDATING);
    return Status::OK;
  }

  Status GetUpload(ServerContext*, const v1::GetUploadRequest*,
                   v1::Upload* response) override {
    absl::MutexLock lock(&fake_.mutex);
    if (!fake_.upload.has_value()) {
      return Status(grpc::StatusCode::UNIMPLEMENTED, "");
    }
    *response = *fake_.upload;
    return Status::OK;
  }

  Status DeleteDataset(ServerContext*, const v1::DeleteDatasetRequest* request,
                       v1::DeleteDatasetResponse*) override {
    FAKE_BEGIN(fake_);
    if (fake_.datasets.erase(request->name()) == 0) {
      return ToGrpcStatus(NotFound("dataset", request->name()));
    }
    return Status::OK;
  }

  Status UploadExamples(ServerContext*,
                        grpc::ServerReader<v1::UploadExamplesRequest>* reader,
                        v1::UploadExamplesResponse* response) override {
    v1::UploadExamplesRequest request;
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
    DelimitedDecoder decoder;
    decoder.Feed(bytes);
    v1::Example example;
    while (decoder.Next(&example).value_or(false)) {
      fake_.examples.push_back(example);
      response->set_added_count(response->added_count() + 1);
    }
    return ToGrpcStatus(decoder.Finish());
  }

  Status DownloadExamples(
      ServerContext*, const v1::DownloadExamplesRequest*,
      grpc::ServerWriter<v1::DownloadExamplesResponse>* writer) override {
    FAKE_BEGIN(fake_);
    std::string bytes;
    for (const v1::Example& example : fake_.examples) {
      AppendDelimited(example, &bytes);
    }
    SendInChunks(bytes, fake_.corrupt_downloads, writer);
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFakeDatasets(FakeServer& fake) {
  return std::make_unique<FakeDatasets>(fake);
}

}  // namespace attune::client
