#include "worker/convert/pickle.h"

#include <optional>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::convert {
namespace {

using Kind = PickleValue::Kind;

absl::Status Invalid(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_PICKLE",
               absl::StrCat("its pickle ", message));
}

// The instructions that PyTorch's and Python's writers use, protocols 2 to 5.
enum Instruction : unsigned char {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDuplicate = '2',
  kBinaryFloat = 'G',
  kBinaryInt = 'J',
  kBinaryInt1 = 'K',
  kBinaryInt2 = 'M',
  kNone = 'N',
  kPersistentId = 'Q',
  kReduce = 'R',
  kBinaryString = 'T',
  kShortBinaryString = 'U',
  kBinaryUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kGet = 'h',
  kLongGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kPut = 'q',
  kLongPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinaryBytes = 'B',
  kShortBinaryBytes = 'C',
  kProtocol = 0x80,
  kNewObject = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kTrue = 0x88,
  kFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortUnicode = 0x8c,
  kUnicode8 = 0x8d,
  kBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjectKeywords = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

class Machine {
 public:
  Machine(absl::string_view bytes, std::deque<PickleValue>& values)
      : bytes_(bytes), values_(values) {}

  absl::StatusOr<const PickleValue*> Run() {
    while (true) {
      ATTUNE_ASSIGN_OR_RETURN(const uint64_t instruction, Number(1));
      if (instruction == kStop) return Pop();
      ATTUNE_ASSIGN_OR_RETURN(const bool known,
                              Step(static_cast<unsigned char>(instruction)));
      if (!known) {
        return Invalid(absl::StrFormat(
            "has the instruction 0x%02x, which no checkpoint needs",
            instruction));
      }
      if (values_.size() > Pickle::kMaxValues ||
          stack_.size() > Pickle::kMaxValues || copied_ > Pickle::kMaxValues) {
        return Invalid("has too many values");
      }
    }
  }

 private:
  absl::StatusOr<absl::string_view> Bytes(uint64_t count) {
    if (count > bytes_.size() - at_) {
      return Invalid("ends within an instruction");
    }
    const absl::string_view bytes = bytes_.substr(at_, count);
    at_ += count;
    return bytes;
  }

  // An unsigned little-endian number of so many bytes.
  absl::StatusOr<uint64_t> Number(int bytes) {
    ATTUNE_ASSIGN_OR_RETURN(const absl::string_view text, Bytes(bytes));
    uint64_t number = 0;
    for (int i = bytes; i-- > 0;) {
      number = number << 8 | static_cast<unsigned char>(text[i]);
    }
    return number;
  }

  // Bytes with their length, a number of so many bytes, before them.
  absl::StatusOr<absl::string_view> Counted(int length_bytes) {
    ATTUNE_ASSIGN_OR_RETURN(const uint64_t count, Number(length_bytes));
    return Bytes(count);
  }

  absl::StatusOr<absl::string_view> Line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == absl::string_view::npos) {
      return Invalid("ends within an instruction");
    }
    const absl::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  PickleValue& Push(Kind kind) {
    PickleValue& value = values_.emplace_back();
    value.kind = kind;
    stack_.push_back(&value);
    return value;
  }
  absl::StatusOr<bool> PushText(absl::StatusOr<absl::string_view> text) {
    ATTUNE_RETURN_IF_ERROR(text.status());
    Push(Kind::kText).text = std::string(*text);
    return true;
  }
  absl::StatusOr<bool> PushOther(absl::StatusOr<absl::string_view> bytes) {
    ATTUNE_RETURN_IF_ERROR(bytes.status());
    Push(Kind::kOther);
    return true;
  }
  bool PushInteger(int64_t integer, Kind kind = Kind::kInteger) {
    Push(kind).integer = integer;
    return true;
  }

  absl::StatusOr<PickleValue*> Pop() {
    ATTUNE_ASSIGN_OR_RETURN(PickleValue * value, Top());
    stack_.pop_back();
    return value;
  }
  absl::StatusOr<PickleValue*> Top() const {
    const size_t bottom = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= bottom) return Invalid("takes from an empty stack");
    return stack_.back();
  }
  // The values above the last mark, which goes too.
  absl::StatusOr<std::vector<PickleValue*>> PopToMark() {
    if (marks_.empty()) return Invalid("lacks a mark");
    std::vector<PickleValue*> values(stack_.begin() + marks_.back(),
                                     stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return values;
  }

  static void Extend(PickleValue& list,
                     const std::vector<PickleValue*>& values) {
    list.items.insert(list.items.end(), values.begin(), values.end());
  }
  absl::Status SetItems(PickleValue& target,
                        const std::vector<PickleValue*>& values) {
    if (values.size() % 2 != 0) return Invalid("has a key without a value");
    for (size_t i = 0; i < values.size(); i += 2) {
      target.entries.emplace_back(values[i], values[i + 1]);
    }
    return absl::OkStatus();
  }

  // The result of an instruction: whether it is one.
  absl::StatusOr<bool> Step(unsigned char instruction) {
    for (auto group : {&Machine::Scalar, &Machine::Container, &Machine::Fill,
                       &Machine::Memo, &Machine::Object}) {
      ATTUNE_ASSIGN_OR_RETURN(const bool done, (this->*group)(instruction));
      if (done) return true;
    }
    return false;
  }

  absl::StatusOr<bool> Scalar(unsigned char instruction) {
    switch (instruction) {
      case kNone:
        Push(Kind::kNone);
        return true;
      case kTrue:
      case kFalse:
        return PushInteger(instruction == kTrue, Kind::kBool);
      case kBinaryInt: {
        ATTUNE_ASSIGN_OR_RETURN(const uint64_t number, Number(4));
        return PushInteger(static_cast<int32_t>(number));
      }
      case kBinaryInt1:
      case kBinaryInt2: {
        ATTUNE_ASSIGN_OR_RETURN(const uint64_t number,
                                Number(instruction == kBinaryInt1 ? 1 : 2));
        return PushInteger(static_cast<int64_t>(number));
      }
      case kLong1:
        return Long(Counted(1));
      case kLong4:
        return Long(Counted(4));
      case kBinaryFloat:
        return PushOther(Bytes(8));
      case kBinaryString:
      case kBinaryUnicode:
        return PushText(Counted(4));
      case kShortBinaryString:
      case kShortUnicode:
        return PushText(Counted(1));
      case kUnicode8:
        return PushText(Counted(8));
      case kBinaryBytes:
        return PushOther(Counted(4));
      case kShortBinaryBytes:
        return PushOther(Counted(1));
      case kBytes8:
      case kByteArray8:
        return PushOther(Counted(8));
      default:
        return false;
    }
  }

  // A two's complement number; one that does not fit 64 bits is no size.
  absl::StatusOr<bool> Long(absl::StatusOr<absl::string_view> bytes) {
    ATTUNE_RETURN_IF_ERROR(bytes.status());
    if (bytes->size() > 8) return PushOther(bytes);
    uint64_t number =
        !bytes->empty() && (bytes->back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = bytes->size(); i-- > 0;) {
      number = number << 8 | static_cast<unsigned char>((*bytes)[i]);
    }
    return PushInteger(static_cast<int64_t>(number));
  }

  absl::StatusOr<bool> Container(unsigned char instruction) {
    switch (instruction) {
      case kMark:
        marks_.push_back(stack_.size());
        return true;
      case kEmptyTuple:
        Push(Kind::kTuple);
        return true;
      case kEmptyList:
      case kEmptySet:
        Push(Kind::kList);
        return true;
      case kEmptyDict:
        Push(Kind::kDict);
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3: {
        std::vector<PickleValue*> values(instruction - kTuple1 + 1);
        for (size_t i = values.size(); i-- > 0;) {
          ATTUNE_ASSIGN_OR_RETURN(values[i], Pop());
        }
        Extend(Push(Kind::kTuple), values);
        return true;
      }
      case kTuple:
      case kList:
      case kFrozenSet: {
        ATTUNE_ASSIGN_OR_RETURN(const auto values, PopToMark());
        Extend(Push(instruction == kTuple ? Kind::kTuple : Kind::kList),
               values);
        return true;
      }
      case kDict: {
        ATTUNE_ASSIGN_OR_RETURN(const auto values, PopToMark());
        ATTUNE_RETURN_IF_ERROR(SetItems(Push(Kind::kDict), values));
        return true;
      }
      default:
        return false;
    }
  }

  absl::StatusOr<bool> Fill(unsigned char instruction) {
    std::vector<PickleValue*> values;
    switch (instruction) {
      case kPop:
        ATTUNE_RETURN_IF_ERROR(Pop().status());
        return true;
      case kPopMark:
        ATTUNE_RETURN_IF_ERROR(PopToMark().status());
        return true;
      case kDuplicate: {
        ATTUNE_ASSIGN_OR_RETURN(PickleValue * value, Top());
        stack_.push_back(value);
        return true;
      }
      case kAppend:
      case kSetItem:
        values.resize(instruction == kAppend ? 1 : 2);
        for (size_t i = values.size(); i-- > 0;) {
          ATTUNE_ASSIGN_OR_RETURN(values[i], Pop());
        }
        break;
      case kAppends:
      case kAddItems:
      case kSetItems: {
        ATTUNE_ASSIGN_OR_RETURN(values, PopToMark());
        break;
      }
      default:
        return false;
    }
    ATTUNE_ASSIGN_OR_RETURN(PickleValue * target, Top());
    if (instruction == kSetItem || instruction == kSetItems) {
      ATTUNE_RETURN_IF_ERROR(SetItems(*target, values));
    } else {
      Extend(*target, values);
    }
    return true;
  }

  absl::StatusOr<bool> Memo(unsigned char instruction) {
    uint64_t index = memo_.size();
    switch (instruction) {
      case kGet:
      case kPut: {
        ATTUNE_ASSIGN_OR_RETURN(index, Number(1));
        break;
      }
      case kLongGet:
      case kLongPut: {
        ATTUNE_ASSIGN_OR_RETURN(index, Number(4));
        break;
      }
      case kMemoize:
        break;
      case kProtocol:
      case kFrame:
        ATTUNE_RETURN_IF_ERROR(
            Bytes(instruction == kProtocol ? 1 : 8).status());
        return true;
      default:
        return false;
    }
    if (instruction == kGet || instruction == kLongGet) {
      const auto found = memo_.find(index);
      if (found == memo_.end()) return Invalid("names a value it lacks");
      stack_.push_back(found->second);
      return true;
    }
    ATTUNE_ASSIGN_OR_RETURN(memo_[index], Top());
    return true;
  }

  absl::StatusOr<bool> Object(unsigned char instruction) {
    switch (instruction) {
      case kGlobal: {
        ATTUNE_ASSIGN_OR_RETURN(const absl::string_view module, Line());
        ATTUNE_ASSIGN_OR_RETURN(const absl::string_view name, Line());
        Push(Kind::kName).text = absl::StrCat(module, ".", name);
        return true;
      }
      case kStackGlobal: {
        ATTUNE_ASSIGN_OR_RETURN(const PickleValue* name, Pop());
        ATTUNE_ASSIGN_OR_RETURN(const PickleValue* module, Pop());
        Push(Kind::kName).text = absl::StrCat(module->text, ".", name->text);
        return true;
      }
      case kPersistentId: {
        ATTUNE_ASSIGN_OR_RETURN(const PickleValue* id, Pop());
        Push(Kind::kPersistent).items.push_back(id);
        return true;
      }
      case kNewObjectKeywords:
        ATTUNE_RETURN_IF_ERROR(Pop().status());
        [[fallthrough]];
      case kReduce:
      case kNewObject: {
        ATTUNE_ASSIGN_OR_RETURN(const PickleValue* arguments, Pop());
        ATTUNE_ASSIGN_OR_RETURN(const PickleValue* callee, Pop());
        if (callee->kind != Kind::kName) {
          return Invalid("makes an object of something that is no class");
        }
        const bool is_dict = callee->text == "collections.OrderedDict";
        PickleValue& object = Push(is_dict ? Kind::kDict : Kind::kObject);
        object.text = callee->text;
        object.items = arguments->items;
        copied_ += arguments->items.size();
        return true;
      }
      case kBuild: {
        ATTUNE_ASSIGN_OR_RETURN(const PickleValue* state, Pop());
        ATTUNE_ASSIGN_OR_RETURN(PickleValue * target, Top());
        // A dictionary's attributes (a state_dict's _metadata) are not keys.
        if (target->kind == Kind::kObject && target != state) {
          target->entries.insert(target->entries.end(), state->entries.begin(),
                                 state->entries.end());
          copied_ += state->entries.size();
        }
        return true;
      }
      default:
        return false;
    }
  }

  absl::string_view bytes_;
  size_t at_ = 0;
  std::deque<PickleValue>& values_;
  std::vector<PickleValue*> stack_;
  // Heights of the stack.
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleValue*> memo_;
  // References copied from one value to another, which a short pickle could
  // make very many of.
  size_t copied_ = 0;
};

}  // namespace

const PickleValue* PickleValue::Find(absl::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name->kind == Kind::kText && name->text == key) return value;
  }
  return nullptr;
}

absl::StatusOr<Pickle> Pickle::Read(absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > kMaxBytes) {
    return Invalid("is longer than a checkpoint's can be");
  }
  Pickle pickle;
  Machine machine(bytes, pickle.values_);
  ATTUNE_ASSIGN_OR_RETURN(pickle.root_, machine.Run());
  return pickle;
}

}  // namespace attune::convert
