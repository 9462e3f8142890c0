#include "client/example_parser.h"

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

using Json = nlohmann::json;

struct Kind {
  absl::string_view name;
  // The keys that say that an example is of this kind.
  std::vector<absl::string_view> required;
  std::vector<absl::string_view> optional;
};

const std::array<Kind, 3>& Kinds() {
  static const auto& kinds = *new std::array<Kind, 3>{
      Kind{"pair", {"preferred", "rejected"}, {"clean_image"}},
      Kind{"labelled", {"label"}, {"attack"}},
      Kind{"caption", {"caption"}, {"caption_attributes"}}};
  return kinds;
}

absl::Status Wrong(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_EXAMPLE", message);
}

std::string Quoted(const std::vector<absl::string_view>& keys) {
  return absl::StrJoin(keys, " and ", [](std::string* out, auto key) {
    absl::StrAppend(out, "\"", key, "\"");
  });
}

// The kind that the object's keys name; null for a clean example.
absl::StatusOr<const Kind*> KindOf(const Json& object) {
  const Kind* found = nullptr;
  std::string found_key;
  for (const auto& [key, value] : object.items()) {
    if (key == "image" || key == "attributes") continue;
    const Kind* kind = nullptr;
    for (const Kind& candidate : Kinds()) {
      if (absl::c_linear_search(candidate.required, key) ||
          absl::c_linear_search(candidate.optional, key)) {
        kind = &candidate;
      }
    }
    if (kind == nullptr) {
      return Wrong(absl::StrCat("unknown key \"", key, "\""));
    }
    if (found != nullptr && found != kind) {
      return Wrong(absl::StrCat("\"", found_key, "\" belongs to a ",
                                found->name, " and \"", key, "\" to a ",
                                kind->name, ": one example has one kind"));
    }
    found = kind;
    found_key = key;
  }
  if (found == nullptr) return nullptr;
  for (absl::string_view key : found->required) {
    if (!object.contains(std::string(key))) {
      return Wrong(absl::StrCat("\"", key, "\" is missing: a ", found->name,
                                " needs ", Quoted(found->required)));
    }
  }
  return found;
}

// The string at `key`; "" when there is none.
absl::StatusOr<std::string> String(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::string();
  if (!found->is_string()) {
    return Wrong(absl::StrCat("\"", key, "\" must be a string"));
  }
  return found->get<std::string>();
}

// The string at `key`, which must be a good text when it is there.
absl::StatusOr<std::string> Text(const Json& object, const char* key) {
  ATTUNE_ASSIGN_OR_RETURN(std::string text, String(object, key));
  if (object.contains(key)) {
    ATTUNE_RETURN_IF_ERROR(ValidateText(key, text));
  }
  return text;
}

absl::Status Attributes(const Json& object, const char* key,
                        google::protobuf::Map<std::string, std::string>* out) {
  const auto found = object.find(key);
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_object()) {
    return Wrong(absl::StrCat("\"", key, "\" must be an object of strings"));
  }
  for (const auto& [name, value] : found->items()) {
    if (!value.is_string()) {
      return Wrong(absl::StrCat("\"", key, "\": \"", name,
                                "\" must be a string, as in \"", name, "\": \"",
                                value.dump(), "\""));
    }
    (*out)[name] = value.get<std::string>();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Path(const Json& object, const char* key) {
  ATTUNE_ASSIGN_OR_RETURN(std::string path, String(object, key));
  if (object.contains(key) && path.empty()) {
    return Wrong(absl::StrCat("\"", key, "\" must be the path of a picture"));
  }
  return path;
}

absl::Status FillPair(const Json& object, ParsedExample* parsed) {
  v1::Example::Pair& pair = *parsed->example.mutable_pair();
  ATTUNE_ASSIGN_OR_RETURN(*pair.mutable_preferred(), Text(object, "preferred"));
  ATTUNE_ASSIGN_OR_RETURN(*pair.mutable_rejected(), Text(object, "rejected"));
  ATTUNE_ASSIGN_OR_RETURN(parsed->clean_image, Path(object, "clean_image"));
  if (pair.preferred() == pair.rejected()) {
    return Wrong("\"preferred\" and \"rejected\" are the same text");
  }
  return absl::OkStatus();
}

absl::Status FillLabelled(const Json& object, ParsedExample* parsed) {
  v1::Example::Labelled& labelled = *parsed->example.mutable_labelled();
  ATTUNE_ASSIGN_OR_RETURN(*labelled.mutable_label(), Text(object, "label"));
  ATTUNE_ASSIGN_OR_RETURN(*labelled.mutable_attack(), Text(object, "attack"));
  return absl::OkStatus();
}

absl::Status FillCaption(const Json& object, ParsedExample* parsed) {
  v1::Example::Caption& caption = *parsed->example.mutable_caption();
  ATTUNE_ASSIGN_OR_RETURN(*caption.mutable_caption(), Text(object, "caption"));
  return Attributes(object, "caption_attributes",
                    caption.mutable_caption_attributes());
}

// The object on `line`. A key that occurs twice is an error, where JSON
// parsers would silently take one of them.
absl::StatusOr<Json> ParseObject(absl::string_view line) {
  std::vector<std::set<std::string>> keys;
  std::string repeated;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(value.get<std::string>()).second) {
      repeated = value.get<std::string>();
    }
    return true;
  };
  Json object = Json::parse(line.begin(), line.end(), watch,
                            /*allow_exceptions=*/false);
  if (object.is_discarded() || !object.is_object()) {
    return Wrong("is not a JSON object");
  }
  if (!repeated.empty()) {
    return Wrong(absl::StrCat("the key \"", repeated, "\" occurs twice"));
  }
  return object;
}

}  // namespace

absl::StatusOr<ParsedExample> ParseExample(absl::string_view line) {
  ATTUNE_ASSIGN_OR_RETURN(const Json object, ParseObject(line));
  ATTUNE_ASSIGN_OR_RETURN(const Kind* kind, KindOf(object));
  ParsedExample parsed;
  ATTUNE_ASSIGN_OR_RETURN(parsed.image, Path(object, "image"));
  if (parsed.image.empty()) return Wrong("\"image\" is missing");
  ATTUNE_RETURN_IF_ERROR(
      Attributes(object, "attributes", parsed.example.mutable_attributes()));
  if (kind == nullptr) {
    parsed.example.mutable_clean();
  } else if (kind->name == "pair") {
    ATTUNE_RETURN_IF_ERROR(FillPair(object, &parsed));
  } else if (kind->name == "labelled") {
    ATTUNE_RETURN_IF_ERROR(FillLabelled(object, &parsed));
  } else {
    ATTUNE_RETURN_IF_ERROR(FillCaption(object, &parsed));
  }
  return parsed;
}

}  // namespace attune::client
