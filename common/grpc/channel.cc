#include "common/grpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_interceptor.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attune {
namespace {

namespace experimental = ::grpc::experimental;

constexpr int kMaxReconnectDelayMs = 5'000;
constexpr int kFirstReconnectDelayMs = 200;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// Adds the API key to a call. gRPC's call credentials would do so too, but not
// on a plaintext channel over loopback.
class KeyInterceptor final : public experimental::Interceptor {
 public:
  explicit KeyInterceptor(const std::string& header) : header_(header) {}

  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", header_);
    }
    methods->Proceed();
  }

 private:
  const std::string& header_;
};

class KeyInterceptorFactory final
    : public experimental::ClientInterceptorFactoryInterface {
 public:
  explicit KeyInterceptorFactory(const std::string& key)
      : header_(absl::StrCat("Bearer ", key)) {}

  experimental::Interceptor* CreateClientInterceptor(
      experimental::ClientRpcInfo*) override {
    return new KeyInterceptor(header_);
  }

 private:
  // Outlives the calls, as the channel does.
  const std::string header_;
};

}  // namespace

std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address,
                                         const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(options.user_agent);
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetMaxSendMessageSize(kMaxInferenceBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveTime));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   Milliseconds(kKeepaliveTimeout));
  // Without these a stream that is quiet for minutes gets two pings, then none.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   kFirstReconnectDelayMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectDelayMs);
  // The client library decides what may be tried again.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Two clients of one process do not share a connection by accident.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const ClientSecurity& security = options.security;
  std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>>
      interceptors;
  if (!security.api_key.empty()) {
    interceptors.push_back(
        std::make_unique<KeyInterceptorFactory>(security.api_key));
  }
  return experimental::CreateCustomChannelWithInterceptors(
      address,
      security.tls.ca.empty() ? grpc::InsecureChannelCredentials()
                              : TlsClient(security.tls),
      arguments, std::move(interceptors));
}

void ApplyServerLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxInferenceBytes);
  builder.SetMaxSendMessageSize(kMaxInferenceBytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             Milliseconds(kKeepaliveTime));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      Milliseconds(kMinPingInterval));
}

}  // namespace attune
