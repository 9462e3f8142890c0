#ifndef ATTUNE_COMMON_GRPC_ADDRESS_H_
#define ATTUNE_COMMON_GRPC_ADDRESS_H_

#include "absl/strings/string_view.h"

namespace attune {

// Whether what is sent to `address`, HOST:PORT or unix:PATH, stays on this
// machine: "localhost", 127.0.0.0/8, ::1 or a socket file. No name but
// "localhost" is looked up.
bool IsLoopback(absl::string_view address);

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_ADDRESS_H_
