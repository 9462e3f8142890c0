#include "common/safetensors/safetensors.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace attune::safetensors {
namespace {

using Json = nlohmann::json;

constexpr absl::string_view kMetadataKey = "__metadata__";
// Object, tensor, array: nothing in a header is deeper.
constexpr int kMaxDepth = 3;

constexpr struct {
  DataType type;
  absl::string_view name;
  int64_t bytes;
} kTypes[] = {
    {DataType::kFloat32, "F32", 4},   {DataType::kFloat16, "F16", 2},
    {DataType::kBfloat16, "BF16", 2}, {DataType::kInt64, "I64", 8},
    {DataType::kUint8, "U8", 1},
};

absl::Status Invalid(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_SAFETENSORS",
               message);
}

absl::Status InvalidTensor(absl::string_view name, absl::string_view problem) {
  return Invalid(absl::StrCat("tensor ", name, " ", problem));
}

// A name for a message: names come from outside and may be of any length.
std::string Printable(absl::string_view name) {
  constexpr size_t kLongest = 100;
  return absl::StrCat("'", absl::CHexEscape(name.substr(0, kLongest)),
                      name.size() > kLongest ? "…'" : "'");
}

// PyTorch's files are zip archives or pickles; a tar was its first format.
bool LooksLikePyTorch(absl::string_view bytes) {
  return absl::StartsWith(bytes, "PK\x03\x04") ||
         (bytes.size() > 1 && bytes[0] == '\x80' && bytes[1] >= 2 &&
          bytes[1] <= 5);
}

// Walks through the text and stops at what a header must not have: a key
// twice (nlohmann's parser keeps the last one, and a file that means two
// things must mean neither) and deep nesting.
class StrictnessCheck : public nlohmann::json_sax<Json> {
 public:
  // OK when the text is not JSON at all, which the parser then says.
  const absl::Status& problem() const { return problem_; }

  bool start_object(size_t) override {
    keys_.emplace_back();
    return Enter();
  }
  bool end_object() override {
    keys_.pop_back();
    return Leave();
  }
  bool start_array(size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool key(std::string& name) override {
    if (keys_.back().insert(name).second) return true;
    problem_ = Invalid(
        absl::StrCat("the header has the key ", Printable(name), " twice"));
    return false;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&,
                   const Json::exception&) override {
    return false;
  }

 private:
  bool Enter() {
    if (++depth_ <= kMaxDepth) return true;
    problem_ = Invalid("the header is nested too deeply");
    return false;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  absl::Status problem_;
  int depth_ = 0;
  // Of each object that is open.
  std::vector<std::set<std::string>> keys_;
};

// In two passes: nlohmann's parser with a callback takes time that grows with
// the square of the number of keys.
absl::StatusOr<Json> ParseStrictly(absl::string_view text) {
  StrictnessCheck check;
  const bool valid = Json::sax_parse(text.begin(), text.end(), &check);
  if (!check.problem().ok()) return check.problem();
  if (!valid) return Invalid("the header is not a JSON object");
  // What is JSON and begins with a brace is an object.
  return Json::parse(text.begin(), text.end(), nullptr,
                     /*allow_exceptions=*/false);
}

absl::StatusOr<int64_t> ReadInteger(const Json& json) {
  if (!json.is_number_unsigned() ||
      json.get<uint64_t>() >
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return absl::InvalidArgumentError("");
  }
  return json.get<int64_t>();
}

// `json` is the value of the key `name`; offsets are checked for order only.
absl::StatusOr<TensorInfo> ReadTensor(const std::string& name,
                                      const Json& json) {
  const std::string label = Printable(name);
  if (name.empty()) return Invalid("a tensor has no name");
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") ||
      !json.contains("shape") || !json.contains("data_offsets")) {
    return InvalidTensor(label, "must have dtype, shape and data_offsets");
  }
  TensorInfo tensor;
  tensor.name = name;

  const Json& dtype = json["dtype"];
  const auto* type = std::find_if(
      std::begin(kTypes), std::end(kTypes), [&](const auto& known) {
        return dtype.is_string() &&
               dtype.get_ref<const std::string&>() == known.name;
      });
  if (type == std::end(kTypes)) {
    return InvalidTensor(
        label, absl::StrCat("has the type ", Printable(dtype.dump()),
                            "; F32, F16, BF16, I64 and U8 are supported"));
  }
  tensor.data_type = type->type;

  const Json& shape = json["shape"];
  if (!shape.is_array()) return InvalidTensor(label, "has no valid shape");
  for (const Json& size : shape) {
    absl::StatusOr<int64_t> value = ReadInteger(size);
    if (!value.ok()) return InvalidTensor(label, "has no valid shape");
    tensor.shape.push_back(*value);
  }

  const Json& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) {
    return InvalidTensor(label, "has no valid data_offsets");
  }
  absl::StatusOr<int64_t> begin = ReadInteger(offsets[0]);
  absl::StatusOr<int64_t> end = ReadInteger(offsets[1]);
  if (!begin.ok() || !end.ok() || *begin > *end) {
    return InvalidTensor(label, "has no valid data_offsets");
  }
  tensor.begin = *begin;
  tensor.end = *end;

  const std::optional<int64_t> bytes =
      TensorBytes(tensor.data_type, tensor.shape);
  if (!bytes) return InvalidTensor(label, "has a shape that overflows");
  if (*bytes != tensor.end - tensor.begin) {
    return InvalidTensor(label,
                         absl::StrCat("has ", tensor.end - tensor.begin,
                                      " bytes where its shape needs ", *bytes));
  }
  return tensor;
}

absl::StatusOr<Metadata> ReadMetadata(const Json& json) {
  Metadata metadata;
  if (!json.is_object()) return Invalid("__metadata__ is not an object");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return Invalid(
          absl::StrCat("the metadata of ", Printable(key), " is not a string"));
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// Sorts by offset and refuses gaps and overlaps.
absl::Status CheckLayout(std::vector<TensorInfo>& tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) {
              return std::tie(a.begin, a.end, a.name) <
                     std::tie(b.begin, b.end, b.name);
            });
  int64_t position = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.begin < position) {
      return InvalidTensor(Printable(tensor.name),
                           "overlaps the tensor before it");
    }
    if (tensor.begin > position) {
      return InvalidTensor(
          Printable(tensor.name),
          absl::StrCat("leaves a gap of ", tensor.begin - position,
                       " bytes before it"));
    }
    position = tensor.end;
  }
  return absl::OkStatus();
}

}  // namespace

int64_t ByteSize(DataType type) {
  for (const auto& known : kTypes) {
    if (known.type == type) return known.bytes;
  }
  return 0;
}

absl::string_view DataTypeName(DataType type) {
  for (const auto& known : kTypes) {
    if (known.type == type) return known.name;
  }
  return "";
}

std::optional<int64_t> TensorBytes(DataType type, const Shape& shape) {
  int64_t bytes = ByteSize(type);
  for (int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

absl::StatusOr<int64_t> HeaderSize(absl::string_view first_bytes) {
  if (first_bytes.size() > kLengthBytes && first_bytes[kLengthBytes] == '{') {
    uint64_t length = 0;
    for (int i = kLengthBytes - 1; i >= 0; --i) {
      length = length << 8 | static_cast<unsigned char>(first_bytes[i]);
    }
    if (length <= kMaxHeaderBytes) return kLengthBytes + length;
  }
  return Error(
      absl::StatusCode::kInvalidArgument, "NOT_SAFETENSORS",
      LooksLikePyTorch(first_bytes)
          ? "this is a PyTorch file, not safetensors: convert it on your own "
            "machine with attune-convert"
          : absl::StrCat("this is not a safetensors file, or its header is "
                         "longer than ",
                         kMaxHeaderBytes, " bytes"));
}

absl::StatusOr<Header> ParseHeader(absl::string_view first_bytes,
                                   std::optional<int64_t> file_size) {
  Header header;
  ATTUNE_ASSIGN_OR_RETURN(header.data_begin, HeaderSize(first_bytes));
  if (static_cast<int64_t>(first_bytes.size()) < header.data_begin) {
    return Invalid("the file ends within its header");
  }
  ATTUNE_ASSIGN_OR_RETURN(Json json,
                          ParseStrictly(first_bytes.substr(
                              kLengthBytes, header.data_begin - kLengthBytes)));
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadataKey) {
      ATTUNE_ASSIGN_OR_RETURN(header.metadata, ReadMetadata(value));
      continue;
    }
    ATTUNE_ASSIGN_OR_RETURN(TensorInfo tensor, ReadTensor(name, value));
    header.tensors.push_back(std::move(tensor));
  }
  ATTUNE_RETURN_IF_ERROR(CheckLayout(header.tensors));
  if (!header.tensors.empty() &&
      header.tensors.back().end >
          std::numeric_limits<int64_t>::max() - header.data_begin) {
    return InvalidTensor(Printable(header.tensors.back().name),
                         "has no valid data_offsets");
  }
  if (file_size && *file_size != header.file_size()) {
    const std::string last =
        header.tensors.empty()
            ? "the header"
            : absl::StrCat("tensor ", Printable(header.tensors.back().name));
    return Invalid(absl::StrCat("the file has ", *file_size, " bytes, but ",
                                last, " ends at ", header.file_size()));
  }
  return header;
}

std::string WriteHeader(const std::vector<TensorInfo>& tensors,
                        const Metadata& metadata) {
  // nlohmann::json sorts keys, so the text is a function of the arguments.
  Json json = Json::object();
  if (!metadata.empty()) json[std::string(kMetadataKey)] = metadata;
  int64_t position = 0;
  for (const TensorInfo& tensor : tensors) {
    const int64_t end = position + *TensorBytes(tensor.data_type, tensor.shape);
    json[tensor.name] = {{"dtype", std::string(DataTypeName(tensor.data_type))},
                         {"shape", tensor.shape},
                         {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string bytes;
  for (int i = 0; i < kLengthBytes; ++i) {
    bytes.push_back(static_cast<char>(text.size() >> (8 * i)));
  }
  return bytes + text;
}

}  // namespace attune::safetensors
