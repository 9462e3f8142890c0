#include "server/services/request_key.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace attune::services {

core::RequestKey MakeRequestKey(const google::protobuf::Message& request,
                                absl::string_view request_id) {
  std::string bytes = request.GetTypeName();
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    // Maps are written in the order of their keys.
    coded.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&coded);
  }
  return {std::string(request_id), Sha256Hex(bytes)};
}

core::RequestKey MakeStreamKey(absl::string_view call, absl::string_view name,
                               absl::string_view content,
                               absl::string_view request_id) {
  return {std::string(request_id),
          Sha256Hex(absl::StrCat(call, "\n", name, "\n", content))};
}

}  // namespace attune::services
