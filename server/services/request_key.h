#ifndef ATTUNE_SERVER_SERVICES_REQUEST_KEY_H_
#define ATTUNE_SERVER_SERVICES_REQUEST_KEY_H_

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "server/core/idempotency.h"

namespace attune::services {

// The key of a unary request that carries `request_id`: two requests are the
// same when their type and all of their fields are.
core::RequestKey MakeRequestKey(const google::protobuf::Message& request,
                                absl::string_view request_id);

// The key of a stream: `call` and `dataset` or model name it, `content` is the
// digest of its bytes.
core::RequestKey MakeStreamKey(absl::string_view call, absl::string_view name,
                               absl::string_view content,
                               absl::string_view request_id);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_REQUEST_KEY_H_
