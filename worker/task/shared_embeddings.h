// Embeddings of pictures by a job's base, which jobs share through the server.

#ifndef ATTUNE_WORKER_TASK_SHARED_EMBEDDINGS_H_
#define ATTUNE_WORKER_TASK_SHARED_EMBEDDINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/worker_service.pb.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "worker/task/example_set.h"
#include "worker/train/embedding_cache.h"
#include "worker/transport/server_connection.h"

namespace attune::task {

// How this build makes an embedding out of a picture's bytes and a version;
// with the digests of both it identifies the embedding.
std::string EmbeddingVariant(bool bf16);

// What a job was given.
struct FoundEmbeddings {
  // Entries are numbers in examples.images.
  train::EmbeddingRows rows;
  // Digests of the blobs that they came from, in order.
  std::vector<std::string> sources;
};

// Fetches the embeddings of those of `images` (numbers in examples.images)
// that are among `stored`, in order and until all are found. With `sources`,
// only from these blobs: a run that goes on must compute with what it began
// with. What cannot be fetched or read is left out with a warning, because
// nothing depends on it. CANCELLED when the task is to stop.
absl::StatusOr<FoundEmbeddings> FetchEmbeddings(
    transport::ServerConnection& connection,
    const google::protobuf::RepeatedPtrField<v1::StoredEmbeddings>& stored,
    const std::string& variant, const ExampleSet& examples,
    const std::vector<int64_t>& images, int64_t embedding_size,
    const std::optional<std::vector<std::string>>& sources);

// Stores embeddings and returns what names them. REQUIRES: there are some.
// Errors of UploadTensors.
absl::StatusOr<v1::StoredEmbeddings> StoreEmbeddings(
    transport::ServerConnection& connection, const std::string& lease_token,
    const std::string& variant, const ExampleSet& examples,
    const train::EmbeddingRows& rows);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_SHARED_EMBEDDINGS_H_
