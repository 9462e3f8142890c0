// How the examples of an evaluation are divided for its tables.

#ifndef ATTUNE_WORKER_TASK_DIVISIONS_H_
#define ATTUNE_WORKER_TASK_DIVISIONS_H_

#include <string>
#include <vector>

#include "attune/v1/dataset_service.pb.h"
#include "worker/evaluate/figures.h"

namespace attune::task {

// The attributes to group by: `named`, or where that is empty every attribute
// with 2 to 50 values that all have 2 examples. (An id or a file name makes no
// groups.)
std::vector<std::string> GroupAttributes(
    const std::vector<v1::Example>& examples,
    const std::vector<std::string>& named);

// Whether the example has one of these attributes.
bool HasAny(const v1::Example& example,
            const std::vector<std::string>& attributes);

// The rows by class, which is the label of a labelled example and the preferred
// text of a pair (where there are 2 to 1,000 classes), then by each attribute.
std::vector<evaluate::Division> MakeDivisions(
    const std::vector<const v1::Example*>& rows,
    const std::vector<std::string>& attributes);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_DIVISIONS_H_
