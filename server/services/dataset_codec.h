// Datasets and examples between core and attune.v1.

#ifndef ATTUNE_SERVER_SERVICES_DATASET_CODEC_H_
#define ATTUNE_SERVER_SERVICES_DATASET_CODEC_H_

#include "attune/v1/dataset_service.pb.h"
#include "server/core/datasets/dataset_manager.h"
#include "storage/records.h"

namespace attune::services {

v1::Dataset ToProto(const core::DatasetView& view);
// Without the pictures.
v1::Example ToProto(const storage::Example& example);

// Takes the pictures out of `example`. A kind that is not set becomes one that
// DatasetUpload refuses.
core::ExampleInput TakeExample(v1::Example& example);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_DATASET_CODEC_H_
