// Channels to attune-server, and the limits that both of their ends share.

#ifndef ATTUNE_COMMON_GRPC_CHANNEL_H_
#define ATTUNE_COMMON_GRPC_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/grpc/client_security.h"

namespace attune {

// A chunk of an upload or a download.
inline constexpr int kMaxChunkBytes = 1 << 20;
// A request or a reply of a unary call other than inference.
inline constexpr int kMaxUnaryBytes = 4 << 20;
// A request of inference and a message of Serve; the largest that a server
// receives.
inline constexpr int kMaxInferenceBytes = 32 << 20;

// A ping after this much silence finds a connection that is half open. The
// server allows pings at twice that rate: one that allowed fewer than the
// client sends would close it with GOAWAY too_many_pings.
inline constexpr absl::Duration kKeepaliveTime = absl::Seconds(20);
inline constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(10);
inline constexpr absl::Duration kMinPingInterval = absl::Seconds(10);

struct ChannelOptions {
  // The largest message that this end accepts.
  int max_receive_bytes = kMaxInferenceBytes;
  // A name for the server's logs.
  std::string user_agent = "attune";
  // Plaintext and no key unless LoadClientSecurity gave something else.
  ClientSecurity security = {};
};

// A channel to `address`, HOST:PORT or unix:PATH. Connects at the first call
// and again, after at most 5 s, when the connection is lost. Every call carries
// the API key, if there is one. Never fails: an address that nobody answers
// makes calls UNAVAILABLE.
std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address,
                                         const ChannelOptions& options = {});

// Gives a server the size limit and the keepalive values that fit ConnectTo.
void ApplyServerLimits(grpc::ServerBuilder& builder);

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_CHANNEL_H_
