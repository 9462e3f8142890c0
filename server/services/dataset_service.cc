#include "server/services/dataset_service.h"

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/services/dataset_codec.h"
#include "server/services/example_streams.h"
#include "server/services/page.h"
#include "server/services/page_token.h"
#include "server/services/request_key.h"
#include "server/services/unary_call.h"

namespace attune::services {
namespace {

constexpr absl::string_view kService = "DatasetService";
constexpr int kDefaultDatasets = 100;
constexpr int kMaxDatasets = 1'000;
constexpr int kDefaultExamples = 1'000;
constexpr int kMaxExamples = 10'000;

}  // namespace

grpc::ServerUnaryReactor* DatasetService::CreateDataset(
    grpc::CallbackServerContext* context,
    const v1::CreateDatasetRequest* request, v1::Dataset* response) {
  return RunUnary<v1::CreateDatasetRequest, v1::Dataset>(
      environment_, {kService, "CreateDataset"}, context, request, response,
      [this](const v1::CreateDatasetRequest& request,
             v1::Dataset* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const core::DatasetView view,
            datasets_.Create(
                request.name(),
                {request.candidates().begin(), request.candidates().end()},
                MakeRequestKey(request, request.request_id())));
        *response = ToProto(view);
        return absl::OkStatus();
      });
}

grpc::ServerReadReactor<v1::UploadExamplesRequest>*
DatasetService::UploadExamples(grpc::CallbackServerContext* context,
                               v1::UploadExamplesResponse* response) {
  return RunUpload<v1::UploadExamplesRequest, v1::UploadExamplesResponse>(
      environment_, {kService, "UploadExamples"}, context, response,
      NewExampleUpload(datasets_), environment_.uploads());
}

grpc::ServerUnaryReactor* DatasetService::GetUpload(
    grpc::CallbackServerContext* context, const v1::GetUploadRequest* request,
    v1::Upload* response) {
  return RunUnary<v1::GetUploadRequest, v1::Upload>(
      environment_, {kService, "GetUpload"}, context, request, response,
      [this](const v1::GetUploadRequest& request,
             v1::Upload* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const core::UploadProgress progress,
            datasets_.GetUpload(request.dataset(), request.request_id()));
        response->set_dataset(request.dataset());
        response->set_request_id(request.request_id());
        response->set_offset(progress.offset);
        response->set_committed(progress.committed);
        int64_t added = 0;
        if (absl::SimpleAtoi(progress.result, &added)) {
          response->set_added_count(added);
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* DatasetService::SealDataset(
    grpc::CallbackServerContext* context, const v1::SealDatasetRequest* request,
    v1::Dataset* response) {
  return RunUnary<v1::SealDatasetRequest, v1::Dataset>(
      environment_, {kService, "SealDataset"}, context, request, response,
      [this](const v1::SealDatasetRequest& request,
             v1::Dataset* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const core::DatasetView view,
            datasets_.Seal(request.name(),
                           MakeRequestKey(request, request.request_id())));
        *response = ToProto(view);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* DatasetService::GetDataset(
    grpc::CallbackServerContext* context, const v1::GetDatasetRequest* request,
    v1::Dataset* response) {
  return RunUnary<v1::GetDatasetRequest, v1::Dataset>(
      environment_, {kService, "GetDataset"}, context, request, response,
      [this](const v1::GetDatasetRequest& request,
             v1::Dataset* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const core::DatasetView view,
                                datasets_.Get(request.name()));
        *response = ToProto(view);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* DatasetService::ListDatasets(
    grpc::CallbackServerContext* context,
    const v1::ListDatasetsRequest* request,
    v1::ListDatasetsResponse* response) {
  return RunUnary<v1::ListDatasetsRequest, v1::ListDatasetsResponse>(
      environment_, {kService, "ListDatasets"}, context, request, response,
      [this](const v1::ListDatasetsRequest& request,
             v1::ListDatasetsResponse* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultDatasets, kMaxDatasets));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::string after,
            DecodePageToken("ListDatasets", request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(const std::vector<core::DatasetView> views,
                                datasets_.List(after, size + 1));
        const size_t taken =
            FillPage(views, size, [&](const core::DatasetView& view) {
              v1::Dataset* dataset = response->add_datasets();
              *dataset = ToProto(view);
              return dataset;
            });
        if (taken < views.size()) {
          response->set_next_page_token(
              EncodePageToken("ListDatasets", views[taken - 1].dataset.name));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* DatasetService::ListExamples(
    grpc::CallbackServerContext* context,
    const v1::ListExamplesRequest* request,
    v1::ListExamplesResponse* response) {
  return RunUnary<v1::ListExamplesRequest, v1::ListExamplesResponse>(
      environment_, {kService, "ListExamples"}, context, request, response,
      [this](const v1::ListExamplesRequest& request,
             v1::ListExamplesResponse* response) -> absl::Status {
        const std::string list =
            absl::StrCat("ListExamples/", request.dataset());
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultExamples, kMaxExamples));
        ATTUNE_ASSIGN_OR_RETURN(
            const int64_t after,
            DecodeNumericPageToken(list, request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::vector<storage::Example> examples,
            datasets_.ListExamples(request.dataset(), after, size + 1));
        const size_t taken =
            FillPage(examples, size, [&](const storage::Example& example) {
              v1::Example* proto = response->add_examples();
              *proto = ToProto(example);
              return proto;
            });
        if (taken < examples.size()) {
          response->set_next_page_token(
              EncodePageToken(list, examples[taken - 1].id));
        }
        return absl::OkStatus();
      });
}

grpc::ServerWriteReactor<v1::DownloadExamplesResponse>*
DatasetService::DownloadExamples(grpc::CallbackServerContext* context,
                                 const v1::DownloadExamplesRequest* request) {
  return RunDownload<v1::DownloadExamplesResponse>(
      environment_, {kService, "DownloadExamples"}, context,
      request->ByteSizeLong(),
      NewExampleDownload(datasets_, blobs_, request->dataset()),
      environment_.downloads());
}

grpc::ServerUnaryReactor* DatasetService::DropExamples(
    grpc::CallbackServerContext* context,
    const v1::DropExamplesRequest* request, v1::Dataset* response) {
  return RunUnary<v1::DropExamplesRequest, v1::Dataset>(
      environment_, {kService, "DropExamples"}, context, request, response,
      [this](const v1::DropExamplesRequest& request,
             v1::Dataset* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const core::DatasetView view,
            datasets_.DropInvalid(
                request.dataset(),
                MakeRequestKey(request, request.request_id())));
        *response = ToProto(view);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* DatasetService::DeleteDataset(
    grpc::CallbackServerContext* context,
    const v1::DeleteDatasetRequest* request,
    v1::DeleteDatasetResponse* response) {
  return RunUnary<v1::DeleteDatasetRequest, v1::DeleteDatasetResponse>(
      environment_, {kService, "DeleteDataset"}, context, request, response,
      [this](const v1::DeleteDatasetRequest& request,
             v1::DeleteDatasetResponse*) {
        return datasets_.Delete(request.name(),
                                MakeRequestKey(request, request.request_id()));
      });
}

}  // namespace attune::services
