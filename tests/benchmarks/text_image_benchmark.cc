// Time of decode + resize + crop, or of tokenising, on one core:
//
//   text_image_benchmark decode_resize SIZE PASSES FILE...
//   text_image_benchmark tokenize PASSES FILE      (one text a line)
//
// Prints the CPU seconds of each pass, one a line; the files are in memory
// before. text_image_reference.py runs it beside Pillow and transformers.

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "common/image/preprocess.h"
#include "common/text/tokenizer.h"

namespace {

// Of this process, so that a busy machine counts less.
double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * now.tv_nsec;
}

template <typename Pass>
void Time(int passes, const Pass& pass) {
  pass();
  for (int i = 0; i < passes; ++i) {
    const double start = CpuSeconds();
    pass();
    std::cout << CpuSeconds() - start << "\n";
  }
}

int DecodeResize(int size, int passes, const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file),
                       std::istreambuf_iterator<char>());
  }
  int failed = 0;
  Time(passes, [&] {
    for (const std::string& file : files) {
      failed += !attune::image::DecodeAndPreprocess(file, size).ok();
    }
  });
  return failed == 0 ? 0 : 1;
}

int Tokenize(int passes, const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  size_t tokens = 0;
  Time(passes, [&] {
    for (const std::string& text : texts) {
      tokens += attune::text::Tokenizer::Clip().Encode(text).size();
    }
  });
  return tokens > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() > 3 && arguments[0] == "decode_resize") {
    return DecodeResize(std::atoi(argv[2]), std::atoi(argv[3]),
                        {arguments.begin() + 3, arguments.end()});
  }
  if (arguments.size() == 3 && arguments[0] == "tokenize") {
    return Tokenize(std::atoi(argv[2]), arguments[2]);
  }
  std::cerr << "usage: text_image_benchmark decode_resize SIZE PASSES FILE...\n"
               "       text_image_benchmark tokenize PASSES FILE\n";
  return 2;
}
