#ifndef ATTUNE_TESTS_WORKER_CONTENT_SMALL_CLIP_H_
#define ATTUNE_TESTS_WORKER_CONTENT_SMALL_CLIP_H_

#include <string>

#include "attune/v1/worker_service.pb.h"
#include "common/safetensors/clip_layout.h"
#include "tests/worker/fake_server/fake_server.h"
#include "worker/model/clip.h"

namespace attune::test {

// A CLIP over the real vocabulary that computes in no time.
ClipConfig SmallClipConfig();

v1::ClipConfig ToProto(const ClipConfig& config);

// Stores the tensors in the server and returns the version that names them.
v1::VersionContent StoreVersion(FakeServer& server, const std::string& name,
                                const ClipConfig& config,
                                const model::Tensors& tensors);

// A PNG of a single colour with some structure that depends on `seed`.
std::string Picture(int seed);

}  // namespace attune::test

#endif  // ATTUNE_TESTS_WORKER_CONTENT_SMALL_CLIP_H_
