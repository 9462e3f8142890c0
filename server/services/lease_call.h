#ifndef ATTUNE_SERVER_SERVICES_LEASE_CALL_H_
#define ATTUNE_SERVER_SERVICES_LEASE_CALL_H_

#include <grpcpp/support/server_callback.h>

#include "attune/v1/worker_service.pb.h"
#include "server/core/leases/lease_manager.h"
#include "server/services/call.h"

namespace attune::services {

// Begins one call of WorkerService.LeaseTask, a long poll. A task that its
// client does not wait for any more goes back into the queue. The arguments
// outlive the call.
grpc::ServerUnaryReactor* BeginLeaseTask(const CallEnvironment& environment,
                                         core::LeaseManager& leases,
                                         grpc::CallbackServerContext* context,
                                         const v1::LeaseTaskRequest* request,
                                         v1::LeaseTaskResponse* response);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_LEASE_CALL_H_
