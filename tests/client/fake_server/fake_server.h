#ifndef ATTUNE_TESTS_CLIENT_FAKE_SERVER_FAKE_SERVER_H_
#define ATTUNE_TESTS_CLIENT_FAKE_SERVER_FAKE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/dataset_service.pb.h"
#include "attune/v1/inference_service.pb.h"
#include "attune/v1/job_service.pb.h"
#include "attune/v1/model_service.pb.h"

namespace attune::client {

// A server that keeps in memory what clients send and answers what a test has
// put there, over real gRPC on a free port. It has no rules of its own: it is
// for tests of what a client sends, retries and prints. Thread-safe through
// its mutex, which a test takes to look at it.
class FakeServer {
 public:
  FakeServer();
  ~FakeServer();

  // 127.0.0.1:PORT.
  const std::string& address() const { return address_; }

  mutable absl::Mutex mutex;

  // Errors of the next calls, whichever they are, first one first.
  std::deque<absl::Status> failures ABSL_GUARDED_BY(mutex);
  // Calls so far, failed ones included.
  int call_count ABSL_GUARDED_BY(mutex) = 0;
  // request_id of every mutation, in order.
  std::vector<std::string> request_ids ABSL_GUARDED_BY(mutex);

  std::map<std::string, v1::Dataset> datasets ABSL_GUARDED_BY(mutex);
  // What the uploads have brought, and in how many chunks of which size.
  std::vector<v1::Example> examples ABSL_GUARDED_BY(mutex);
  std::vector<size_t> chunk_sizes ABSL_GUARDED_BY(mutex);
  // What GetUpload and GetImport answer; UNIMPLEMENTED without.
  std::optional<v1::Upload> upload ABSL_GUARDED_BY(mutex);
  std::optional<v1::Import> import ABSL_GUARDED_BY(mutex);
  // The bytes that a header's offset passes over.
  std::string kept ABSL_GUARDED_BY(mutex);
  // Offsets of the headers of uploads and imports.
  std::vector<int64_t> offsets ABSL_GUARDED_BY(mutex);
  // States of a sealed dataset at the looks that follow.
  std::deque<v1::Dataset> validation ABSL_GUARDED_BY(mutex);

  std::vector<v1::CreateJobRequest> created_jobs ABSL_GUARDED_BY(mutex);
  v1::Job job ABSL_GUARDED_BY(mutex);
  // What GetJob answers for these ids, in place of `job`.
  std::map<std::string, v1::Job> other_jobs ABSL_GUARDED_BY(mutex);
  // The ids that CreateJob gives to copies of `job`, first one first; without
  // any, `job` as it is.
  std::deque<std::string> job_ids ABSL_GUARDED_BY(mutex);
  std::vector<std::string> cancelled_ids ABSL_GUARDED_BY(mutex);
  // What WatchJob sends: one entry a call; the call then ends with the status.
  struct Watch {
    std::vector<v1::WatchJobResponse> messages;
    absl::Status end;
  };
  std::deque<Watch> watches ABSL_GUARDED_BY(mutex);
  std::vector<std::string> watch_cursors ABSL_GUARDED_BY(mutex);
  std::vector<v1::MetricRow> metrics ABSL_GUARDED_BY(mutex);
  std::vector<v1::JobEvent> events ABSL_GUARDED_BY(mutex);
  std::vector<v1::Checkpoint> checkpoints ABSL_GUARDED_BY(mutex);
  v1::Evaluation evaluation ABSL_GUARDED_BY(mutex);
  // Evaluations of other jobs than those that answer with `evaluation`, and
  // what ListEvaluations finds by the model.
  std::map<std::string, v1::Evaluation> evaluations ABSL_GUARDED_BY(mutex);

  v1::Version version ABSL_GUARDED_BY(mutex);
  // The bytes of an import, and what an export sends.
  std::string model_file ABSL_GUARDED_BY(mutex);
  // Sends a wrong digest at the end of downloads.
  bool corrupt_downloads ABSL_GUARDED_BY(mutex) = false;

  std::vector<std::string> embedded_texts ABSL_GUARDED_BY(mutex);
  std::vector<v1::ClassifyImagesRequest> classify_requests
      ABSL_GUARDED_BY(mutex);
  v1::Classification classification ABSL_GUARDED_BY(mutex);
  // What Compare answers by the picture's bytes; others fail as items.
  struct Comparison {
    v1::LabelScore answer;
    v1::LabelScore against_answer;
  };
  std::map<std::string, Comparison> comparisons ABSL_GUARDED_BY(mutex);
  std::vector<v1::CompareRequest> compare_requests ABSL_GUARDED_BY(mutex);

  // Counts a call and takes its failure, if there is one.
  absl::Status Begin();

 private:
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace attune::client

#endif  // ATTUNE_TESTS_CLIENT_FAKE_SERVER_FAKE_SERVER_H_
