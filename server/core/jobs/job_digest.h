#ifndef ATTUNE_SERVER_CORE_JOBS_JOB_DIGEST_H_
#define ATTUNE_SERVER_CORE_JOBS_JOB_DIGEST_H_

#include <string>
#include <vector>

#include "storage/job_spec.h"

namespace attune::core {

// SHA-256 over every field of a spec and the digests of the datasets and
// versions that it reads, in that order: equal digests ask for the same
// results. A checkpoint of another digest is never continued.
std::string ConfigDigest(const storage::JobSpec& spec,
                         const std::vector<std::string>& input_digests);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_JOBS_JOB_DIGEST_H_
