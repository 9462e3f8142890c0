#include "client/tokenizer_files.h"

#include "absl/strings/str_cat.h"
#include "common/text/vocabulary.h"
#include "nlohmann/json.hpp"

namespace attune::client {

std::vector<std::pair<std::string, std::string>> TokenizerFiles(
    int context_length) {
  nlohmann::ordered_json vocabulary = nlohmann::ordered_json::object();
  // Keys are distinct: the object is filled without looking for them.
  auto& entries = vocabulary.get_ref<nlohmann::ordered_json::object_t&>();
  int id = 0;
  for (std::string& token : text::Vocabulary::ClipTokens()) {
    entries.push_back({std::move(token), id++});
  }
  const nlohmann::ordered_json config = {{"tokenizer_class", "CLIPTokenizer"},
                                         {"model_max_length", context_length},
                                         {"bos_token", "<|startoftext|>"},
                                         {"eos_token", "<|endoftext|>"},
                                         {"unk_token", "<|endoftext|>"},
                                         {"pad_token", "<|endoftext|>"}};
  return {{"vocab.json", vocabulary.dump()},
          {"merges.txt", absl::StrCat("#version: 0.2\n",
                                      text::Vocabulary::ClipMerges(), "\n")},
          {"tokenizer_config.json", config.dump(2) + "\n"}};
}

}  // namespace attune::client
