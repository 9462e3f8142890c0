// The stores on a disk: set TMPDIR to the disk in question. Each case reports
// bytes or rows a second; plain files written and synced on the same disk are
// the measure beside them.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

constexpr int kImages = 10'000;
constexpr int kImageBytes = 40'000;
constexpr int kBatch = 1'000;

void Check(const absl::Status& status, benchmark::State& state) {
  if (!status.ok()) state.SkipWithError(status.ToString().c_str());
}

// Bytes that no file system compresses.
std::string RandomBytes(int64_t size) {
  std::mt19937_64 generator(1);
  std::string bytes(size, '\0');
  for (int64_t at = 0; at + 8 <= size; at += 8) {
    const uint64_t value = generator();
    memcpy(bytes.data() + at, &value, 8);
  }
  return bytes;
}

// Pictures of 40 KB that lie one byte apart in one buffer, with digests that
// are known, as an upload's are.
struct Pictures {
  std::string bytes = RandomBytes(kImages + kImageBytes);
  std::vector<BlobView> views;

  Pictures() {
    for (int i = 0; i < kImages; ++i) {
      const auto view = absl::string_view(bytes).substr(i, kImageBytes);
      views.push_back(BlobView{Sha256Hex(view), view});
    }
  }
};

std::unique_ptr<BlobStore> OpenBlobs(const test::TempDir& folder,
                                     benchmark::State& state) {
  auto store = OpenBlobStore(folder.File("blobs.db"));
  Check(store.status(), state);
  return *std::move(store);
}

void PutImages(benchmark::State& state) {
  const Pictures pictures;
  const size_t batch = state.range(0);
  for (auto _ : state) {
    state.PauseTiming();
    auto folder = std::make_unique<test::TempDir>();
    auto store = OpenBlobs(*folder, state);
    state.ResumeTiming();
    for (size_t at = 0; at < pictures.views.size(); at += batch) {
      Check(store->Put(absl::MakeSpan(pictures.views).subspan(at, batch)),
            state);
    }
    state.PauseTiming();
    store.reset();
    folder.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * int64_t{kImages} * kImageBytes);
}
BENCHMARK(PutImages)
    ->Arg(100)
    ->Arg(kImages)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void PutImagesThatAreThere(benchmark::State& state) {
  const Pictures pictures;
  const test::TempDir folder;
  auto store = OpenBlobs(folder, state);
  Check(store->Put(pictures.views), state);
  for (auto _ : state) Check(store->Put(pictures.views), state);
  state.SetItemsProcessed(state.iterations() * kImages);
}
BENCHMARK(PutImagesThatAreThere)->Unit(benchmark::kMillisecond)->UseRealTime();

void ReadImages(benchmark::State& state) {
  const Pictures pictures;
  const test::TempDir folder;
  auto store = OpenBlobs(folder, state);
  Check(store->Put(pictures.views), state);
  for (auto _ : state) {
    for (const BlobView& view : pictures.views) {
      Check(store->ReadAll(view.digest).status(), state);
    }
  }
  state.SetBytesProcessed(state.iterations() * int64_t{kImages} * kImageBytes);
}
BENCHMARK(ReadImages)->Unit(benchmark::kMillisecond)->UseRealTime();

// A checkpoint's tensors as they come over the wire.
constexpr int64_t kTensorBytes = 64 << 20;
constexpr int kTensors = 9;

void WriteTensors(benchmark::State& state) {
  std::string bytes = RandomBytes(kTensorBytes);
  for (auto _ : state) {
    state.PauseTiming();
    auto folder = std::make_unique<test::TempDir>();
    auto store = OpenBlobs(*folder, state);
    state.ResumeTiming();
    for (int tensor = 0; tensor < kTensors; ++tensor) {
      bytes[0] = static_cast<char>(tensor);
      auto writer = store->NewWriter();
      for (int64_t at = 0; at < kTensorBytes; at += 1 << 20) {
        Check(writer->Append(absl::string_view(bytes).substr(at, 1 << 20)),
              state);
      }
      Check(writer->Commit("").status(), state);
    }
    state.PauseTiming();
    store.reset();
    folder.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * kTensors * kTensorBytes);
}
BENCHMARK(WriteTensors)->Unit(benchmark::kMillisecond)->UseRealTime();

void WritePlainFiles(benchmark::State& state) {
  const std::string bytes = RandomBytes(kTensorBytes);
  for (auto _ : state) {
    state.PauseTiming();
    auto folder = std::make_unique<test::TempDir>();
    state.ResumeTiming();
    for (int tensor = 0; tensor < kTensors; ++tensor) {
      Sha256 hash;
      const std::string path = folder->File(absl::StrCat(tensor));
      const int file = open(path.c_str(), O_CREAT | O_WRONLY, 0600);
      for (int64_t at = 0; at < kTensorBytes; at += 1 << 20) {
        hash.Update(absl::string_view(bytes).substr(at, 1 << 20));
        if (write(file, bytes.data() + at, 1 << 20) != 1 << 20) {
          state.SkipWithError("write failed");
        }
      }
      if (fsync(file) != 0) state.SkipWithError("fsync failed");
      close(file);
      benchmark::DoNotOptimize(hash.FinishHex());
    }
    state.PauseTiming();
    folder.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * kTensors * kTensorBytes);
}
BENCHMARK(WritePlainFiles)->Unit(benchmark::kMillisecond)->UseRealTime();

std::unique_ptr<StateStore> OpenState(const test::TempDir& folder,
                                      benchmark::State& state) {
  auto store = OpenStateStore(folder.File("state.db"));
  Check(store.status(), state);
  return *std::move(store);
}

void PutMetrics(benchmark::State& state) {
  const test::TempDir folder;
  auto store = OpenState(folder, state);
  Job job;
  job.id = "job-1";
  Check(store->Write([&](StateTransaction& transaction) {
    return transaction.jobs().Insert(job);
  }),
        state);
  std::vector<MetricRow> rows(state.range(0));
  int64_t step = 0;
  for (auto _ : state) {
    for (MetricRow& row : rows) {
      row.step = ++step;
      row.attempt = 1;
      row.time = absl::FromUnixSeconds(step);
      row.loss = row.objective_loss = row.kl = row.margin = 0.1 * step;
      row.preferred_log_ratio = row.rejected_log_ratio = 0.2 * step;
      row.pair_accuracy = row.logit_scale = row.learning_rate = 0.3;
      row.gradient_norm = row.examples_per_second = 1.0 / step;
    }
    Check(store->Write([&](StateTransaction& transaction) {
      return transaction.jobs().PutMetrics("job-1", rows);
    }),
          state);
  }
  state.SetItemsProcessed(state.iterations() * rows.size());
}
BENCHMARK(PutMetrics)
    ->Arg(1)
    ->Arg(kBatch)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void AddExamples(benchmark::State& state) {
  const test::TempDir folder;
  auto store = OpenState(folder, state);
  Dataset dataset;
  dataset.name = "pets";
  Check(store->Write([&](StateTransaction& transaction) {
    return transaction.datasets().Insert(dataset);
  }),
        state);
  std::vector<Example> examples(kBatch);
  int64_t number = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (Example& example : examples) {
      example.kind = ExampleKind::kPair;
      example.image_digest = Sha256Hex(absl::StrCat(++number));
      example.image_size_bytes = kImageBytes;
      example.text = "a photo of a dog";
      example.other_text = "a photo of a cat";
      example.attributes = {{"source", "camera"}};
    }
    state.ResumeTiming();
    Check(store->Write([&](StateTransaction& transaction) {
      return transaction.datasets().AddExamples("pets", examples);
    }),
          state);
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(AddExamples)->Unit(benchmark::kMillisecond)->UseRealTime();

// A lease's transaction with 10,000 jobs waiting.
void LeaseOldestQueued(benchmark::State& state) {
  const test::TempDir folder;
  auto store = OpenState(folder, state);
  Check(store->Write([&](StateTransaction& transaction) {
    for (int i = 0; i < 10'000; ++i) {
      Job job;
      job.id = absl::StrCat("job-", i);
      if (absl::Status status = transaction.jobs().Insert(job); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }),
        state);
  for (auto _ : state) {
    Check(store->Read([&](StateTransaction& transaction) {
      return transaction.jobs().OldestQueued().status();
    }),
          state);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(LeaseOldestQueued)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace attune::storage
