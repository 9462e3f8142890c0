#include "server/metrics/exposer.h"

#include <exception>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "prometheus/exposer.h"

namespace attune::metrics {

absl::StatusOr<std::unique_ptr<Exposer>> Exposer::Start(
    absl::string_view address,
    std::vector<std::shared_ptr<prometheus::Collectable>> collectables) {
  auto result = absl::WrapUnique(new Exposer);
  const std::string bind(address);
  try {
    result->exposer_ =
        std::make_unique<prometheus::Exposer>(bind, /*num_threads=*/2);
  } catch (const std::exception& error) {
    return Error(
        absl::StatusCode::kUnavailable, "ADDRESS_NOT_AVAILABLE",
        absl::StrCat("cannot serve metrics on ", address, ": ", error.what()));
  }
  const std::vector<int> ports = result->exposer_->GetListeningPorts();
  result->address_ = absl::StrCat(bind.substr(0, bind.rfind(':')), ":",
                                  ports.empty() ? 0 : ports.front());
  for (const auto& collectable : collectables) {
    result->exposer_->RegisterCollectable(collectable);
  }
  result->collectables_ = std::move(collectables);
  return result;
}

Exposer::~Exposer() = default;

}  // namespace attune::metrics
