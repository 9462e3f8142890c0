#ifndef ATTUNE_WORKER_SERVE_SERVE_LOOP_H_
#define ATTUNE_WORKER_SERVE_SERVE_LOOP_H_

#include <ATen/core/Tensor.h>

#include <string>

#include "absl/status/status.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/content/work_pool.h"
#include "worker/decode/picture_decoder.h"
#include "worker/serve/version_table.h"
#include "worker/transport/server_connection.h"
#include "worker/transport/stop_signal.h"

namespace attune::serve {

struct ServeOptions {
  // What the worker says when it opens the stream.
  v1::ServeRequest::Hello hello;
  at::Device device = at::kCPU;
  int decode_threads = 1;
  // The path of attune-image-decoder.
  std::string decoder_program;
};

// Answers inference batches: opens WorkerService.Serve, loads and unloads what
// the server says and computes its batches, one after the other in one thread
// (every thread that computes tensors would have its own OpenMP team). Not
// thread-safe.
class ServeLoop {
 public:
  // `connection` must outlive the loop; it goes on working while `drain` is
  // signalled.
  ServeLoop(transport::ServerConnection& connection,
            const transport::StopSignal& drain, ServeOptions options);

  // Serves until `drain` is signalled: the batch in hand is answered before.
  // When the stream breaks it drops its versions and opens another, after
  // growing delays.
  void Run();

 private:
  class Stream;

  transport::ServerConnection& connection_;
  const transport::StopSignal& drain_;
  const ServeOptions options_;
  VersionTable versions_;
  // Before the pool, whose threads use it.
  decode::PictureDecoder decoder_;
  content::WorkPool pool_;
};

}  // namespace attune::serve

#endif  // ATTUNE_WORKER_SERVE_SERVE_LOOP_H_
