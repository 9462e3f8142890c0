#ifndef ATTUNE_TESTS_WORKER_CONVERT_ARCHIVE_WRITER_H_
#define ATTUNE_TESTS_WORKER_CONVERT_ARCHIVE_WRITER_H_

#include <map>
#include <string>
#include <vector>

#include "worker/model/clip.h"

// Files as PyTorch writes them, and what an enemy would write.
namespace attune::convert {

// A ZIP archive of torch.save's form with these records, written by LibTorch.
void WriteRecords(const std::string& path,
                  const std::map<std::string, std::string>& records);

// A pickled string, and the pickled storage of a tensor: what torch.save's
// persistent ids look like.
std::string PickledText(const std::string& text);
std::string PickledStorage(const std::string& type, const std::string& key,
                           int64_t count);

// The call that makes a contiguous tensor of a storage.
std::string PickledTensor(const std::string& storage,
                          const std::vector<int64_t>& sizes,
                          int64_t offset = 0);

// What torch.save writes for a state_dict: an OrderedDict with _metadata.
// `wrap` puts it under the key "state_dict" beside an epoch and arguments, as
// training scripts do.
void WriteStateDict(const std::string& path, const model::Tensors& tensors,
                    bool wrap = false);

// What torch.jit.save writes for modules with these tensors: modules within
// modules by the dots of the names, with OpenAI's three integers.
void WriteTorchScript(const std::string& path, const model::Tensors& tensors);

}  // namespace attune::convert

#endif  // ATTUNE_TESTS_WORKER_CONVERT_ARCHIVE_WRITER_H_
