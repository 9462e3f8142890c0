#ifndef ATTUNE_SERVER_SERVICES_ACCESS_TABLE_H_
#define ATTUNE_SERVER_SERVICES_ACCESS_TABLE_H_

#include <initializer_list>

#include "absl/strings/string_view.h"
#include "storage/records.h"

namespace attune::services {

// A set of roles.
class Roles {
 public:
  constexpr Roles(std::initializer_list<storage::Role> roles = {}) {
    for (storage::Role role : roles) Add(role);
  }
  constexpr void Add(storage::Role role) {
    bits_ |= 1u << static_cast<unsigned>(role);
  }
  constexpr bool Has(storage::Role role) const {
    return (bits_ >> static_cast<unsigned>(role) & 1u) != 0;
  }
  constexpr bool Intersects(Roles other) const {
    return (bits_ & other.bits_) != 0;
  }
  constexpr bool empty() const { return bits_ == 0; }

 private:
  unsigned bits_ = 0;
};

// Who may call an RPC, such as ("JobService", "GetJob"). Nobody may call one
// without an entry in the table.
//   user      works with datasets, jobs, models and inference
//   worker    does the server's tasks and nothing else
//   operator  what a user may, and what cannot be undone for everybody
Roles RolesOf(absl::string_view service, absl::string_view method);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_ACCESS_TABLE_H_
