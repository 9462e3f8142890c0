#ifndef ATTUNE_CLIENT_TOKENIZER_FILES_H_
#define ATTUNE_CLIENT_TOKENIZER_FILES_H_

#include <string>
#include <utility>
#include <vector>

namespace attune::client {

// Names and contents of the files from which transformers' CLIPTokenizer
// loads CLIP's vocabulary, for texts of so many tokens.
std::vector<std::pair<std::string, std::string>> TokenizerFiles(
    int context_length);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_TOKENIZER_FILES_H_
