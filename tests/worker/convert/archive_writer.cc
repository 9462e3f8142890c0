#include "tests/worker/convert/archive_writer.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/api/module.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/model/safetensors_io.h"

namespace attune::convert {
namespace {

std::string LittleEndian(uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text.push_back(static_cast<char>(number >> (8 * i)));
  }
  return text;
}

std::string PickledInteger(int64_t number) {
  return absl::StrCat("\x8a\x08", LittleEndian(number, 8));
}

std::string PickledTuple(const std::vector<int64_t>& numbers) {
  std::string text = "(";
  for (int64_t number : numbers) text += PickledInteger(number);
  return text + "t";
}

std::string StorageName(at::ScalarType type) {
  return absl::StrCat(c10::toString(type), "Storage");
}

std::string OrderedDict(const std::string& items) {
  return absl::StrCat("ccollections\nOrderedDict\n)R(", items, "u");
}

// A module's tensors by their name, or its modules' by what follows the dot.
torch::jit::Module MakeModule(const model::Tensors& tensors, int* number) {
  torch::jit::Module module(absl::StrCat("__torch__.clip.Part", (*number)++));
  std::map<std::string, model::Tensors> children;
  for (const auto& [name, tensor] : tensors) {
    const std::vector<std::string> parts =
        absl::StrSplit(name, absl::MaxSplits('.', 1));
    if (parts.size() == 1) {
      module.register_parameter(name, tensor, false);
    } else {
      children[parts[0]][parts[1]] = tensor;
    }
  }
  for (const auto& [name, child] : children) {
    module.register_module(name, MakeModule(child, number));
  }
  return module;
}

}  // namespace

void WriteRecords(const std::string& path,
                  const std::map<std::string, std::string>& records) {
  caffe2::serialize::PyTorchStreamWriter writer(path);
  for (const auto& [name, bytes] : records) {
    writer.writeRecord(name, bytes.data(), bytes.size());
  }
  writer.writeEndOfFile();
}

std::string PickledText(const std::string& text) {
  return absl::StrCat("X", LittleEndian(text.size(), 4), text);
}

std::string PickledStorage(const std::string& type, const std::string& key,
                           int64_t count) {
  return absl::StrCat("(", PickledText("storage"), "ctorch\n", type, "\n",
                      PickledText(key), PickledText("cpu"),
                      PickledInteger(count), "tQ");
}

std::string PickledTensor(const std::string& storage,
                          const std::vector<int64_t>& sizes, int64_t offset) {
  std::vector<int64_t> strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * sizes[i];
  }
  return absl::StrCat("ctorch._utils\n_rebuild_tensor_v2\n(", storage,
                      PickledInteger(offset), PickledTuple(sizes),
                      PickledTuple(strides), "\x89", OrderedDict(""), "tR");
}

void WriteStateDict(const std::string& path, const model::Tensors& tensors,
                    bool wrap) {
  std::map<std::string, std::string> records = {{"byteorder", "little"}};
  std::string items;
  int number = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::string key = absl::StrCat(number++);
    records[absl::StrCat("data/", key)] = model::TensorBytes(tensor);
    items += PickledText(name) +
             PickledTensor(PickledStorage(StorageName(tensor.scalar_type()),
                                          key, tensor.numel()),
                           tensor.sizes().vec());
  }
  std::string pickle =
      absl::StrCat(OrderedDict(items), "}", PickledText("_metadata"), "}sb");
  if (wrap) {
    pickle = absl::StrCat("}(", PickledText("epoch"), PickledInteger(3),
                          PickledText("args"), "cargparse\nNamespace\n)\x81}",
                          PickledText("lr"), "G", std::string(8, '\0'), "sb",
                          PickledText("state_dict"), pickle, "u");
  }
  records["data.pkl"] = absl::StrCat("\x80\x02", pickle, ".");
  WriteRecords(path, records);
}

void WriteTorchScript(const std::string& path, const model::Tensors& tensors) {
  int number = 0;
  torch::jit::Module module = MakeModule(tensors, &number);
  for (const char* name :
       {"input_resolution", "context_length", "vocab_size"}) {
    module.register_buffer(name, at::scalar_tensor(224, at::kLong));
  }
  module.register_attribute("width", c10::IntType::get(), c10::IValue(768));
  module.save(path);
}

}  // namespace attune::convert
