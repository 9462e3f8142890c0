// An upload from the client library to a real server over loopback: the
// client's encoding and digests, gRPC, the server's checks and its disk.

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/attune_client.h"
#include "server/server.h"
#include "tests/common/image/fake_files.h"
#include "tests/test_util/temp_dir.h"

namespace attune {
namespace {

constexpr size_t kImageBytes = 40'000;

// Pairs whose pictures are all different: a good header, then noise.
client::ExampleSource Pairs(int64_t count, std::string& noise) {
  std::mt19937 random(7);
  noise.resize(kImageBytes + static_cast<size_t>(count));
  for (char& byte : noise) byte = static_cast<char>(random());
  const std::string start = image::test::PngStart(256, 256);
  const std::string end = image::test::PngChunk("IEND", "");
  return {.count = count, .read = [=, &noise](int64_t index) {
            v1::Example example;
            // Each picture another stretch of the noise.
            example.set_image(absl::StrCat(
                start,
                image::test::PngChunk(
                    "IDAT", absl::string_view(noise).substr(
                                static_cast<size_t>(index), kImageBytes)),
                end));
            example.mutable_pair()->set_preferred(
                absl::StrCat("a photo of a thing of kind ", index % 100, "."));
            example.mutable_pair()->set_rejected("a photo of a dog.");
            return absl::StatusOr<v1::Example>(std::move(example));
          }};
}

void UploadPairs(benchmark::State& state) {
  test::TempDir folder;
  ServerOptions options;
  options.data_dir = folder.File("data");
  options.listen = "127.0.0.1:0";
  options.metrics = "";
  auto server = Server::Start(options);
  if (!server.ok()) {
    state.SkipWithError(server.status().ToString().c_str());
    return;
  }
  client::AttuneClient client({.server = (*server)->address()});
  std::string noise;
  const client::ExampleSource source = Pairs(state.range(0), noise);
  v1::CreateDatasetRequest create;
  create.set_name("pairs");
  absl::Status status = client.CreateDataset(create).status();
  for (auto _ : state) {
    if (status.ok()) status = client.UploadExamples("pairs", source).status();
  }
  if (!status.ok()) state.SkipWithError(status.ToString().c_str());
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          state.range(0) * static_cast<int64_t>(kImageBytes));
}
// One round: a second one would find every picture stored.
BENCHMARK(UploadPairs)
    ->Arg(10'000)
    ->Iterations(1)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace attune
