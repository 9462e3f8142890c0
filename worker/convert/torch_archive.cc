#include "worker/convert/torch_archive.h"

#include <ATen/Functions.h>
#include <c10/core/Storage.h>
#include <c10/util/Exception.h>
#include <caffe2/serialize/inline_container.h>

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/convert/pickle.h"
#include "worker/convert/zip_directory.h"

namespace attune::convert {
namespace {

using Kind = PickleValue::Kind;

// The storages' class names and what they hold.
constexpr std::array<std::pair<absl::string_view, at::ScalarType>, 9> kTypes = {
    {{"torch.FloatStorage", at::kFloat},
     {"torch.HalfStorage", at::kHalf},
     {"torch.BFloat16Storage", at::kBFloat16},
     {"torch.DoubleStorage", at::kDouble},
     {"torch.LongStorage", at::kLong},
     {"torch.IntStorage", at::kInt},
     {"torch.ShortStorage", at::kShort},
     {"torch.ByteStorage", at::kByte},
     {"torch.BoolStorage", at::kBool}}};

// No tensor is near it, so that products of a size and a stride fit 64 bits.
constexpr int64_t kLargest = int64_t{1} << 40;
constexpr size_t kMaxDimensions = 16;
// Modules within modules; CLIP has 6.
constexpr int kMaxDepth = 64;

absl::Status Invalid(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_ARCHIVE", message);
}

absl::Status InvalidTensor(absl::string_view name, absl::string_view message) {
  return Invalid(absl::StrCat("tensor '", absl::CHexEscape(name.substr(0, 100)),
                              "' ", message));
}

bool IsCall(const PickleValue& value, absl::string_view function,
            size_t least_arguments) {
  return value.kind == Kind::kObject && value.text == function &&
         value.items.size() >= least_arguments;
}

// The call that makes a tensor: through a parameter, to the tensor in it.
// Null when the value is none.
const PickleValue* TensorCall(const PickleValue* value) {
  if (IsCall(*value, "torch._utils._rebuild_parameter", 1) ||
      IsCall(*value, "torch._utils._rebuild_parameter_with_state", 1)) {
    value = value->items[0];
  }
  return IsCall(*value, "torch._utils._rebuild_tensor_v2", 4) ||
                 IsCall(*value, "torch._utils._rebuild_tensor", 4)
             ? value
             : nullptr;
}

// Numbers in [0, kLargest]; nullopt when the value is anything else.
std::optional<std::vector<int64_t>> Sizes(const PickleValue& value) {
  if (value.kind != Kind::kTuple || value.items.size() > kMaxDimensions) {
    return std::nullopt;
  }
  std::vector<int64_t> sizes;
  for (const PickleValue* item : value.items) {
    if (item->kind != Kind::kInteger || item->integer < 0 ||
        item->integer > kLargest) {
      return std::nullopt;
    }
    sizes.push_back(item->integer);
  }
  return sizes;
}

// Whether a tensor lies within `count` values of storage and has no more
// values than they are, as an expanded one would.
bool Fits(const std::vector<int64_t>& sizes,
          const std::vector<int64_t>& strides, int64_t offset, int64_t count) {
  int64_t values = 1;
  int64_t last = offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) return offset <= count;
    if (sizes[i] > count || values > count / sizes[i]) return false;
    values *= sizes[i];
    if (sizes[i] > 1) {
      if (strides[i] > count) return false;
      if (strides[i] > 0 && sizes[i] - 1 > (count - 1) / strides[i]) {
        return false;
      }
      last += (sizes[i] - 1) * strides[i];
    }
  }
  return last < count;
}

class Reader {
 public:
  explicit Reader(const std::string& path)
      : file_size_(std::filesystem::file_size(path)), archive_(path) {}

  absl::StatusOr<TorchArchive> Read() {
    if (archive_.hasRecord("byteorder") && Text("byteorder") == "big") {
      return Invalid(
          "its numbers are big-endian; save it on a machine whose "
          "are little-endian");
    }
    if (!archive_.hasRecord("data.pkl")) {
      return Invalid(
          "the archive has no data.pkl: torch.save did not write "
          "it");
    }
    ATTUNE_ASSIGN_OR_RETURN(const Pickle pickle, ReadPickle());
    TorchArchive result;
    result.is_torchscript = archive_.hasRecord("constants.pkl");
    const PickleValue* root = &pickle.root();
    if (result.is_torchscript) {
      ATTUNE_RETURN_IF_ERROR(AddModule(*root, "", 0, result.tensors));
    } else {
      for (absl::string_view key : {"state_dict", "model"}) {
        const PickleValue* inner = root->Find(key);
        if (inner != nullptr && inner->kind == Kind::kDict) {
          root = inner;
          break;
        }
      }
      ATTUNE_RETURN_IF_ERROR(AddDictionary(*root, result.tensors));
    }
    return result;
  }

 private:
  // At most the file's: no record is compressed, but one may claim more.
  absl::StatusOr<size_t> RecordSize(const std::string& name) {
    if (!archive_.hasRecord(name)) {
      return Invalid(absl::StrCat("the archive has no record '", name, "'"));
    }
    const size_t size = archive_.getRecordSize(name);
    if (size > file_size_) {
      return Invalid(absl::StrCat("the archive's record '", name,
                                  "' is longer than the file"));
    }
    return size;
  }

  std::string Text(const std::string& name) {
    if (archive_.getRecordSize(name) > 16) return "";
    const auto [data, size] = archive_.getRecord(name);
    return {static_cast<const char*>(data.get()), size};
  }

  absl::StatusOr<Pickle> ReadPickle() {
    ATTUNE_ASSIGN_OR_RETURN(const size_t size, RecordSize("data.pkl"));
    if (size > Pickle::kMaxBytes) return Invalid("its data.pkl is too long");
    const auto [data, read] = archive_.getRecord("data.pkl");
    return Pickle::Read({static_cast<const char*>(data.get()), read});
  }

  // A state_dict: text keys to tensors.
  absl::Status AddDictionary(const PickleValue& dictionary,
                             model::Tensors& tensors) {
    if (dictionary.kind != Kind::kDict) {
      return Invalid(
          dictionary.kind == Kind::kObject || dictionary.kind == Kind::kName
              ? absl::StrCat("it holds a '",
                             absl::CHexEscape(dictionary.text.substr(0, 100)),
                             "' and no state_dict; nothing of it was run")
              : "it holds no state_dict");
    }
    for (const auto& [key, value] : dictionary.entries) {
      if (key->kind != Kind::kText) {
        return Invalid("its state_dict has a key that is no text");
      }
      absl::string_view name = key->text;
      for (absl::string_view prefix : {"module.", "_orig_mod."}) {
        if (absl::StartsWith(name, prefix)) name.remove_prefix(prefix.size());
      }
      const PickleValue* call = TensorCall(value);
      if (call == nullptr) {
        return InvalidTensor(
            name,
            value->kind == Kind::kObject
                ? absl::StrCat("is a '",
                               absl::CHexEscape(value->text.substr(0, 100)),
                               "' and no tensor; nothing of it was run")
                : "is no tensor");
      }
      ATTUNE_RETURN_IF_ERROR(AddTensor(std::string(name), *call, tensors));
    }
    return absl::OkStatus();
  }

  // A module's tensors, then those of the modules in it. What else a module
  // holds (numbers, lists) are no weights.
  absl::Status AddModule(const PickleValue& module, const std::string& prefix,
                         int depth, model::Tensors& tensors) {
    if (depth > kMaxDepth || !visited_.insert(&module).second) {
      return Invalid("its modules contain each other");
    }
    for (const auto& [key, value] : module.entries) {
      if (key->kind != Kind::kText) continue;
      const std::string name = absl::StrCat(prefix, key->text);
      if (const PickleValue* call = TensorCall(value)) {
        ATTUNE_RETURN_IF_ERROR(AddTensor(name, *call, tensors));
      } else if (value->kind == Kind::kObject &&
                 absl::StartsWith(value->text, "__torch__.")) {
        ATTUNE_RETURN_IF_ERROR(
            AddModule(*value, absl::StrCat(name, "."), depth + 1, tensors));
      }
    }
    return absl::OkStatus();
  }

  // _rebuild_tensor_v2(storage, offset, sizes, strides, …).
  absl::Status AddTensor(const std::string& name, const PickleValue& call,
                         model::Tensors& tensors) {
    const PickleValue& place = *call.items[0];
    const PickleValue& offset = *call.items[1];
    const auto sizes = Sizes(*call.items[2]);
    const auto strides = Sizes(*call.items[3]);
    // ("storage", class, record, device, number of values).
    if (place.kind != Kind::kPersistent || place.items[0]->items.size() < 5 ||
        offset.kind != Kind::kInteger || offset.integer < 0 ||
        offset.integer > kLargest || !sizes || !strides ||
        sizes->size() != strides->size()) {
      return InvalidTensor(name, "is not described as torch.save does it");
    }
    const std::vector<const PickleValue*>& id = place.items[0]->items;
    std::optional<at::ScalarType> type;
    for (const auto& [known, scalar_type] : kTypes) {
      if (known == id[1]->text) type = scalar_type;
    }
    if (!type) {
      return InvalidTensor(
          name, absl::StrCat("has the type '",
                             absl::CHexEscape(id[1]->text.substr(0, 100)),
                             "', which is not supported"));
    }
    const absl::StatusOr<at::Storage> storage =
        GetStorage(absl::StrCat("data/", id[2]->text));
    if (!storage.ok()) {
      return InvalidTensor(
          name, absl::StrCat("cannot be read: ", storage.status().message()));
    }
    const auto count =
        static_cast<int64_t>(storage->nbytes() / c10::elementSize(*type));
    if (!Fits(*sizes, *strides, offset.integer, count)) {
      return InvalidTensor(name, "lies outside the bytes it has");
    }
    const at::Tensor tensor =
        at::empty({0}, *type).set_(*storage, offset.integer, *sizes, *strides);
    if (!tensors.emplace(name, tensor).second) {
      return InvalidTensor(name, "is there twice");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<at::Storage> GetStorage(const std::string& record) {
    if (const auto found = storages_.find(record); found != storages_.end()) {
      return found->second;
    }
    ATTUNE_ASSIGN_OR_RETURN(const size_t size, RecordSize(record));
    auto [data, read] = archive_.getRecord(record);
    at::Storage storage(at::Storage::use_byte_size_t(), size, std::move(data));
    storages_[record] = storage;
    return storage;
  }

  uint64_t file_size_;
  caffe2::serialize::PyTorchStreamReader archive_;
  std::map<std::string, at::Storage> storages_;
  std::set<const PickleValue*> visited_;
};

}  // namespace

absl::StatusOr<TorchArchive> ReadTorchArchive(const std::string& path) {
  ATTUNE_RETURN_IF_ERROR(CheckEntriesAreStored(path));
  try {
    return Reader(path).Read();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& error) {
    const absl::string_view message = error.what_without_backtrace();
    return Invalid(absl::StrCat("it is no whole PyTorch archive: ",
                                message.substr(0, message.find('\n'))));
  }
}

}  // namespace attune::convert
