#include "server/services/model_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/services/model_codec.h"
#include "server/services/page_token.h"
#include "server/services/request_key.h"
#include "server/services/stream_call.h"
#include "server/services/unary_call.h"

namespace attune::services {
namespace {

constexpr absl::string_view kService = "ModelService";
constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1000;

absl::Status BadStream(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM", message);
}

// One header, then chunks, then one end.
class ImportHandler final
    : public UploadHandler<v1::ImportModelRequest, v1::Version> {
 public:
  explicit ImportHandler(core::ModelRegistry& registry) : registry_(registry) {}

  absl::Status OnMessage(v1::ImportModelRequest& request) override {
    return Settle(TakeMessage(request));
  }

  absl::Status OnEnd(v1::Version* response) override {
    // A cut may look like an end: the stream's last read and its cancellation
    // come in any order.
    if (import_ != nullptr && !end_) {
      OnCut();
      return Commit(response);
    }
    return Settle(Commit(response));
  }

  void OnCut() override {
    if (import_ != nullptr) import_->Keep();
  }

 private:
  absl::Status Settle(absl::Status status) {
    if (import_ != nullptr && !status.ok()) import_->staging().GiveUp(status);
    return status;
  }

  absl::Status TakeMessage(const v1::ImportModelRequest& request) {
    if (end_) return BadStream("the stream goes on after its end message");
    switch (request.part_case()) {
      case v1::ImportModelRequest::kHeader:
        return OnHeader(request.header());
      case v1::ImportModelRequest::kChunk:
        return OnChunk(request.chunk());
      case v1::ImportModelRequest::kEnd:
        if (import_ == nullptr) return BadStream("the header must come first");
        if (request.end().size_bytes() == 0) {
          return BadStream("the stream has no data");
        }
        end_ = request.end();
        return absl::OkStatus();
      case v1::ImportModelRequest::PART_NOT_SET:
        return BadStream("a message has neither header, chunk nor end");
    }
    return absl::InternalError("unknown part");
  }

  absl::Status Commit(v1::Version* response) {
    if (!end_) {
      return BadStream(import_ == nullptr
                           ? "the stream has no header"
                           : "the stream ends without its end message");
    }
    const core::RequestKey key = MakeStreamKey(
        "ImportModel", header_.model(), end_->sha256(), header_.request_id());
    ATTUNE_ASSIGN_OR_RETURN(
        const core::VersionView view,
        registry_.CommitImport(header_.model(), *import_, end_->size_bytes(),
                               end_->sha256(), key));
    *response = ToProto(view);
    return absl::OkStatus();
  }

  absl::Status OnHeader(const v1::ImportModelRequest::Header& header) {
    if (import_ != nullptr) return BadStream("the header came twice");
    ATTUNE_RETURN_IF_ERROR(core::ValidateRequestId(header.request_id()));
    ATTUNE_ASSIGN_OR_RETURN(
        import_, registry_.BeginImport(header.model(), header.request_id(),
                                       header.offset()));
    header_ = header;
    return absl::OkStatus();
  }

  absl::Status OnChunk(const std::string& chunk) {
    if (import_ == nullptr) return BadStream("the header must come first");
    if (chunk.size() > kMaxChunkBytes) {
      return BadStream(absl::StrCat("a chunk has ", chunk.size(),
                                    " bytes, more than ", kMaxChunkBytes));
    }
    return import_->Append(chunk);
  }

  core::ModelRegistry& registry_;
  v1::ImportModelRequest::Header header_;
  std::unique_ptr<core::ModelImport> import_;
  std::optional<v1::ImportModelRequest::End> end_;
};

class ExportHandler final : public DownloadHandler<v1::ExportVersionResponse> {
 public:
  ExportHandler(core::ModelRegistry& registry, std::string selector)
      : registry_(registry), selector_(std::move(selector)) {}

  absl::StatusOr<bool> Next(v1::ExportVersionResponse* response) override {
    if (ended_) return false;
    if (export_ == nullptr) {
      ATTUNE_ASSIGN_OR_RETURN(export_, registry_.BeginExport(selector_));
    }
    ATTUNE_ASSIGN_OR_RETURN(std::string piece, export_->Next(kMaxChunkBytes));
    if (piece.empty()) {
      ended_ = true;
      response->mutable_end()->set_size_bytes(size_bytes_);
      response->mutable_end()->set_sha256(hash_.FinishHex());
    } else {
      size_bytes_ += static_cast<int64_t>(piece.size());
      hash_.Update(piece);
      response->set_chunk(std::move(piece));
    }
    return true;
  }

 private:
  core::ModelRegistry& registry_;
  const std::string selector_;
  std::unique_ptr<core::ModelRegistry::Export> export_;
  Sha256 hash_;
  int64_t size_bytes_ = 0;
  bool ended_ = false;
};

}  // namespace

grpc::ServerReadReactor<v1::ImportModelRequest>* ModelService::ImportModel(
    grpc::CallbackServerContext* context, v1::Version* response) {
  return RunUpload<v1::ImportModelRequest, v1::Version>(
      environment_, {kService, "ImportModel"}, context, response,
      std::make_unique<ImportHandler>(registry_), environment_.uploads());
}

grpc::ServerUnaryReactor* ModelService::GetImport(
    grpc::CallbackServerContext* context, const v1::GetImportRequest* request,
    v1::Import* response) {
  return RunUnary<v1::GetImportRequest, v1::Import>(
      environment_, {kService, "GetImport"}, context, request, response,
      [this](const v1::GetImportRequest& request,
             v1::Import* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const core::UploadProgress progress,
            registry_.GetImport(request.model(), request.request_id()));
        response->set_model(request.model());
        response->set_request_id(request.request_id());
        response->set_offset(progress.offset);
        response->set_committed(progress.committed);
        if (progress.committed) {
          response->set_version(
              absl::StrCat(request.model(), ":", progress.result));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelService::GetModel(
    grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
    v1::Model* response) {
  return RunUnary<v1::GetModelRequest, v1::Model>(
      environment_, {kService, "GetModel"}, context, request, response,
      [this](const v1::GetModelRequest& request,
             v1::Model* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const storage::Model model,
                                registry_.GetModel(request.name()));
        *response = ToProto(model);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelService::ListModels(
    grpc::CallbackServerContext* context, const v1::ListModelsRequest* request,
    v1::ListModelsResponse* response) {
  return RunUnary<v1::ListModelsRequest, v1::ListModelsResponse>(
      environment_, {kService, "ListModels"}, context, request, response,
      [this](const v1::ListModelsRequest& request,
             v1::ListModelsResponse* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultPage, kMaxPage));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::string after,
            DecodePageToken("ListModels", request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::Model> models,
                                registry_.ListModels(after, size + 1));
        for (const storage::Model& model : models) {
          if (response->models_size() == size) {
            response->set_next_page_token(EncodePageToken(
                "ListModels",
                response->models(response->models_size() - 1).name()));
            break;
          }
          *response->add_models() = ToProto(model);
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelService::ListVersions(
    grpc::CallbackServerContext* context,
    const v1::ListVersionsRequest* request,
    v1::ListVersionsResponse* response) {
  return RunUnary<v1::ListVersionsRequest, v1::ListVersionsResponse>(
      environment_, {kService, "ListVersions"}, context, request, response,
      [this](const v1::ListVersionsRequest& request,
             v1::ListVersionsResponse* response) -> absl::Status {
        const std::string list = absl::StrCat("ListVersions/", request.model());
        ATTUNE_ASSIGN_OR_RETURN(
            const int size,
            PageSize(request.page_size(), kDefaultPage, kMaxPage));
        ATTUNE_ASSIGN_OR_RETURN(
            const int64_t before,
            DecodeNumericPageToken(list, request.page_token()));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::vector<core::VersionView> versions,
            registry_.ListVersions(request.model(),
                                   static_cast<int32_t>(before), size + 1));
        for (const core::VersionView& version : versions) {
          if (response->versions_size() == size) {
            const int32_t last =
                response->versions(response->versions_size() - 1).number();
            response->set_next_page_token(
                EncodePageToken(list, static_cast<int64_t>(last)));
            break;
          }
          *response->add_versions() = ToProto(version);
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelService::GetVersion(
    grpc::CallbackServerContext* context, const v1::GetVersionRequest* request,
    v1::Version* response) {
  return RunUnary<v1::GetVersionRequest, v1::Version>(
      environment_, {kService, "GetVersion"}, context, request, response,
      [this](const v1::GetVersionRequest& request,
             v1::Version* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const core::VersionView view,
                                registry_.GetVersion(request.version()));
        *response = ToProto(view);
        return absl::OkStatus();
      });
}

grpc::ServerWriteReactor<v1::ExportVersionResponse>*
ModelService::ExportVersion(grpc::CallbackServerContext* context,
                            const v1::ExportVersionRequest* request) {
  return RunDownload<v1::ExportVersionResponse>(
      environment_, {kService, "ExportVersion"}, context,
      request->ByteSizeLong(),
      std::make_unique<ExportHandler>(registry_, request->version()),
      environment_.downloads());
}

grpc::ServerUnaryReactor* ModelService::SetAlias(
    grpc::CallbackServerContext* context, const v1::SetAliasRequest* request,
    v1::Model* response) {
  return RunUnary<v1::SetAliasRequest, v1::Model>(
      environment_, {kService, "SetAlias"}, context, request, response,
      [this](const v1::SetAliasRequest& request,
             v1::Model* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const storage::Model model,
            registry_.SetAlias(request.model(), request.alias(),
                               request.version(), request.force(),
                               MakeRequestKey(request, request.request_id())));
        *response = ToProto(model);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelService::DeleteModel(
    grpc::CallbackServerContext* context, const v1::DeleteModelRequest* request,
    v1::DeleteModelResponse* response) {
  return RunUnary<v1::DeleteModelRequest, v1::DeleteModelResponse>(
      environment_, {kService, "DeleteModel"}, context, request, response,
      [this](const v1::DeleteModelRequest& request, v1::DeleteModelResponse*) {
        return registry_.Delete(request.name(),
                                MakeRequestKey(request, request.request_id()));
      });
}

}  // namespace attune::services
