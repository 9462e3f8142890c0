#ifndef ATTUNE_SERVER_METRICS_EXPOSER_H_
#define ATTUNE_SERVER_METRICS_EXPOSER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "prometheus/collectable.h"

namespace prometheus {
class Exposer;
}

namespace attune::metrics {

// Serves /metrics over HTTP until it is destroyed.
class Exposer {
 public:
  // Listens on `address`, HOST:PORT with port 0 for a free one. UNAVAILABLE,
  // reason ADDRESS_NOT_AVAILABLE.
  static absl::StatusOr<std::unique_ptr<Exposer>> Start(
      absl::string_view address,
      std::vector<std::shared_ptr<prometheus::Collectable>> collectables);
  ~Exposer();

  // HOST:PORT with the port in use.
  const std::string& address() const { return address_; }

 private:
  Exposer() = default;

  std::vector<std::shared_ptr<prometheus::Collectable>> collectables_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string address_;
};

}  // namespace attune::metrics

#endif  // ATTUNE_SERVER_METRICS_EXPOSER_H_
