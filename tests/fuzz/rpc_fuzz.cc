// Any bytes as the request of any unary call of a running server: the answer is
// never an error of the server's own.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <vector>

#include "attune/v1/dataset_service.pb.h"
#include "attune/v1/inference_service.pb.h"
#include "attune/v1/job_service.pb.h"
#include "attune/v1/model_service.pb.h"
#include "attune/v1/worker_service.pb.h"
#include "common/grpc/channel.h"
#include "google/protobuf/descriptor.h"
#include "server/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/test_util/temp_dir.h"

namespace attune {
namespace {

// Every unary call of every service, as /attune.v1.JobService/GetJob.
std::vector<std::string> UnaryCalls() {
  std::vector<std::string> calls;
  for (const google::protobuf::FileDescriptor* file :
       {v1::CreateDatasetRequest::descriptor()->file(),
        v1::CreateJobRequest::descriptor()->file(),
        v1::GetModelRequest::descriptor()->file(),
        v1::EmbedTextsRequest::descriptor()->file(),
        v1::HeartbeatRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      const auto* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        const auto* method = service->method(j);
        if (method->client_streaming() || method->server_streaming()) continue;
        calls.push_back("/" + service->full_name() + "/" + method->name());
      }
    }
  }
  return calls;
}

class FuzzedServer {
 public:
  FuzzedServer() {
    ServerOptions options;
    options.data_dir = folder_.File("data");
    options.listen = "127.0.0.1:0";
    options.metrics = "";
    options.router.no_worker_wait = absl::ZeroDuration();
    auto server = Server::Start(options);
    fuzz::Require(server.ok(), server.status().ToString());
    server_ = *std::move(server);
    channel_ = ConnectTo(server_->address());
    stub_ = std::make_unique<grpc::GenericStub>(channel_);
  }

  grpc::Status Call(const std::string& method, absl::string_view request) {
    grpc::ClientContext context;
    // A poll for a task may ask to wait.
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
    const grpc::Slice slice(request.data(), request.size());
    const grpc::ByteBuffer bytes(&slice, 1);
    grpc::ByteBuffer answer;
    grpc::Status status;
    grpc::CompletionQueue queue;
    auto call = stub_->PrepareUnaryCall(&context, method, bytes, &queue);
    call->StartCall();
    call->Finish(&answer, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

 private:
  test::TempDir folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> stub_;
};

void CheckAnswer(const std::string& method, const grpc::Status& status) {
  bool fine = true;
  switch (status.error_code()) {
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::DATA_LOSS:
      fine = false;
      break;
    case grpc::StatusCode::INTERNAL:
      // gRPC's own answer to bytes that are no message.
      fine = status.error_message().find("parse") != std::string::npos;
      break;
    default:
      break;
  }
  fuzz::Require(fine, method + ": " + status.error_message());
}

}  // namespace
}  // namespace attune

constexpr int kMaxCalls = 64;

// Calls one after another: a byte that chooses which, the size of the request
// as a varint of at most two bytes, the request.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::string>& calls =
      *new std::vector<std::string>(attune::UnaryCalls());
  static attune::FuzzedServer& server = *new attune::FuzzedServer;
  absl::string_view rest = attune::fuzz::View(data, size);
  for (int count = 0; count < kMaxCalls && rest.size() >= 2; ++count) {
    const auto byte = [&](size_t at) {
      return static_cast<unsigned char>(rest[at]);
    };
    const std::string& method = calls[byte(0) % calls.size()];
    size_t length = byte(1);
    size_t used = 2;
    if (length >= 0x80 && rest.size() >= 3) {
      length = (length & 0x7F) | size_t{byte(2)} << 7;
      used = 3;
    }
    rest.remove_prefix(used);
    const absl::string_view request = rest.substr(0, length);
    attune::CheckAnswer(method, server.Call(method, request));
    rest.remove_prefix(request.size());
  }
  return 0;
}
