#ifndef ATTUNE_COMMON_STATUS_MACROS_H_
#define ATTUNE_COMMON_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the function when `expression` is an error Status.
#define ATTUNE_RETURN_IF_ERROR(expression)                                \
  do {                                                                    \
    if (absl::Status attune_status = (expression); !attune_status.ok()) { \
      return attune_status;                                               \
    }                                                                     \
  } while (false)

// ATTUNE_ASSIGN_OR_RETURN(auto value, Compute()): declares or assigns the
// value, or returns the error.
#define ATTUNE_ASSIGN_OR_RETURN(declaration, expression)                    \
  ATTUNE_ASSIGN_OR_RETURN_IMPL_(ATTUNE_CONCAT_(attune_status_or, __LINE__), \
                                declaration, expression)
#define ATTUNE_ASSIGN_OR_RETURN_IMPL_(variable, declaration, expression) \
  auto variable = (expression);                                          \
  if (!variable.ok()) return std::move(variable).status();               \
  declaration = *std::move(variable)
#define ATTUNE_CONCAT_(a, b) ATTUNE_CONCAT_IMPL_(a, b)
#define ATTUNE_CONCAT_IMPL_(a, b) a##b

#endif  // ATTUNE_COMMON_STATUS_MACROS_H_
