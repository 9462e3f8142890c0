// What it costs to decode pictures in a process of their own: the same JPEG,
// small, medium and large, decoded and made 224 × 224 here and there. Wall
// time.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/image/encode.h"
#include "common/image/preprocess.h"
#include "worker/decode/picture_decoder.h"

namespace attune {
namespace {

constexpr int kSide = 224;

// A JPEG of `side` × `side` pixels with detail everywhere.
std::string Photo(int side) {
  image::RgbImage picture;
  picture.width = picture.height = side;
  picture.pixels.resize(size_t{3} * side * side);
  unsigned value = 1;
  for (uint8_t& pixel : picture.pixels) {
    value = value * 1664525u + 1013904223u;
    pixel = static_cast<uint8_t>(128 + (value >> 28));
  }
  return *image::EncodeJpeg(picture, 90);
}

void DecodeHere(benchmark::State& state) {
  const std::string file = Photo(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(image::DecodeAndPreprocess(file, kSide));
  }
  state.counters["file_bytes"] = static_cast<double>(file.size());
}

void DecodeThere(benchmark::State& state) {
  const std::string file = Photo(static_cast<int>(state.range(0)));
  decode::PictureDecoder decoder(ATTUNE_DECODER);
  std::vector<uint8_t> pixels(size_t{3} * kSide * kSide);
  for (auto _ : state) {
    const absl::Status status =
        decoder.Preprocess(file, kSide, absl::MakeSpan(pixels));
    if (!status.ok()) state.SkipWithError("decoding failed");
  }
  state.counters["file_bytes"] = static_cast<double>(file.size());
}

// A new process for each picture: what a crash costs.
void StartAndDecode(benchmark::State& state) {
  const std::string file = Photo(static_cast<int>(state.range(0)));
  std::vector<uint8_t> pixels(size_t{3} * kSide * kSide);
  for (auto _ : state) {
    decode::PictureDecoder decoder(ATTUNE_DECODER);
    benchmark::DoNotOptimize(
        decoder.Preprocess(file, kSide, absl::MakeSpan(pixels)));
  }
}

BENCHMARK(DecodeHere)->Arg(48)->Arg(512)->Arg(2000)->UseRealTime();
BENCHMARK(DecodeThere)->Arg(48)->Arg(512)->Arg(2000)->UseRealTime();
BENCHMARK(StartAndDecode)->Arg(48)->UseRealTime();

}  // namespace
}  // namespace attune
