#include "server/core/datasets/dataset_upload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/image/image_header.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace attune::core {
namespace {

using storage::Example;
using storage::ExampleKind;
using storage::StateTransaction;

// Pictures are stored in batches, one durable transaction each.
constexpr size_t kBatchBytes = size_t{16} << 20;
constexpr size_t kBatchImages = 1'000;

absl::Status DatasetSealed(absl::string_view name) {
  return Error(absl::StatusCode::kFailedPrecondition, "DATASET_SEALED",
               absl::StrCat("dataset '", name,
                            "' takes no more examples: make a new one"));
}

// What a row costs in memory until the commit.
int64_t RowBytes(const Example& example) {
  int64_t bytes = sizeof(Example) + 2 * 64;
  bytes +=
      static_cast<int64_t>(example.text.size() + example.other_text.size());
  for (const storage::Attributes* attributes :
       {&example.attributes, &example.caption_attributes}) {
    for (const auto& [key, value] : *attributes) {
      bytes += static_cast<int64_t>(key.size() + value.size()) + 96;
    }
  }
  return bytes;
}

}  // namespace

DatasetUpload::DatasetUpload(storage::StateStore& state,
                             storage::BlobStore& blobs, const Clock& clock,
                             const storage::Dataset& dataset,
                             std::unique_ptr<UploadStaging> staging)
    : state_(state),
      blobs_(blobs),
      clock_(clock),
      dataset_(dataset.name),
      committed_(staging == nullptr),
      candidates_named_(dataset.candidates_named),
      candidates_(dataset.candidates.begin(), dataset.candidates.end()),
      staging_(std::move(staging)) {
  if (committed_) return;
  for (storage::UploadPart& part : staging_->TakeParts()) {
    start_offset_ = part.end_offset;
    start_hash_state_ = std::move(part.hash_state);
    for (Example& example : part.examples) {
      row_bytes_ += RowBytes(example);
      rows_.push_back(std::move(example));
    }
  }
  count_ = static_cast<int64_t>(rows_.size());
  batched_rows_ = rows_.size();
}

absl::Status DatasetUpload::Add(ExampleInput input) {
  const size_t violations_before = violations_.size();
  Example& example = input.example;
  CheckTexts(example);
  CheckAttributes("attributes", example.attributes);
  CheckAttributes("caption.caption_attributes", example.caption_attributes);
  example.image_digest = CheckImage("image", input.image, input.image_digest);
  example.image_size_bytes = static_cast<int64_t>(input.image.size());
  if (!input.clean_image.empty()) {
    example.clean_image_digest = CheckImage(
        "pair.clean_image", input.clean_image, input.clean_image_digest);
    example.clean_image_size_bytes =
        static_cast<int64_t>(input.clean_image.size());
  } else if (!input.clean_image_digest.empty()) {
    Refuse("pair.clean_image_digest", "is given without a clean_image");
  }
  ++count_;
  if (violations_.size() > violations_before) ++refused_rows_;
  if (refused_rows_ == kMaxReportedRows) return RefusedRows();
  // A stream with a bad row commits nothing, and a repeated one neither.
  if (refused_rows_ > 0 || committed_) return absl::OkStatus();

  row_bytes_ += RowBytes(example);
  if (row_bytes_ > kMaxRowBytes) {
    return Error(absl::StatusCode::kResourceExhausted, "UPLOAD_TOO_LARGE",
                 "the texts of one upload have more than 256 MiB: send the "
                 "examples in several uploads");
  }
  AddImage(example.image_digest, std::move(input.image));
  if (!example.clean_image_digest.empty()) {
    AddImage(example.clean_image_digest, std::move(input.clean_image));
  }
  rows_.push_back(std::move(example));
  return absl::OkStatus();
}

bool DatasetUpload::batch_is_full() const {
  return images_bytes_ >= kBatchBytes || images_.size() >= kBatchImages;
}

absl::Status DatasetUpload::StoreBatch(int64_t end_offset,
                                       std::string hash_state) {
  ATTUNE_RETURN_IF_ERROR(AwaitBatch());
  ATTUNE_RETURN_IF_ERROR(blobs_.CheckRoom());
  storage::UploadPart part;
  part.end_offset = end_offset;
  part.hash_state = std::move(hash_state);
  part.examples.assign(rows_.begin() + batched_rows_, rows_.end());
  batched_rows_ = rows_.size();
  // On a thread of its own: the next rows arrive meanwhile.
  storing_ = std::async(std::launch::async, [this, images = std::move(images_),
                                             part = std::move(part)] {
    ATTUNE_RETURN_IF_ERROR(PutImages(images));
    return staging_->Add(part);
  });
  images_.clear();
  images_bytes_ = 0;
  return absl::OkStatus();
}

void DatasetUpload::Keep(int64_t end_offset, std::string hash_state) {
  if (committed_ || refused_rows_ > 0) return;
  absl::Status status;
  if (rows_.size() > batched_rows_) {
    status = StoreBatch(end_offset, std::move(hash_state));
  }
  // Best effort: the client learns from the offset what was kept.
  status.Update(AwaitBatch());
}

void DatasetUpload::GiveUp(const absl::Status& why) {
  if (committed_) return;
  AwaitBatch().IgnoreError();
  staging_->GiveUp(why);
}

absl::StatusOr<int64_t> DatasetUpload::Commit(const RequestKey& key) {
  if (refused_rows_ > 0) return RefusedRows();
  if (count_ == 0) {
    return Error(absl::StatusCode::kInvalidArgument, "EMPTY_UPLOAD",
                 "the upload has no examples");
  }
  if (!committed_) {
    ATTUNE_RETURN_IF_ERROR(AwaitBatch());
    ATTUNE_RETURN_IF_ERROR(PutImages(images_));
  }
  std::string result;
  ATTUNE_RETURN_IF_ERROR(
      state_.Write([&](StateTransaction& transaction) -> absl::Status {
        bool repeated = true;
        const auto add = [&]() -> absl::StatusOr<std::string> {
          repeated = false;
          ATTUNE_ASSIGN_OR_RETURN(const storage::Dataset dataset,
                                  transaction.datasets().Get(dataset_));
          if (committed_ || dataset.state != storage::DatasetState::kOpen) {
            return DatasetSealed(dataset_);
          }
          ATTUNE_RETURN_IF_ERROR(staging_->Remove(transaction));
          ATTUNE_RETURN_IF_ERROR(
              transaction.datasets().AddExamples(dataset_, rows_));
          return staging_->Record(absl::StrCat(count_));
        };
        ATTUNE_ASSIGN_OR_RETURN(
            result, ApplyOnce(transaction, key, clock_.WallNow(), add));
        // Another stream committed it after this one had looked.
        return repeated && !committed_ ? staging_->RemoveRepeated(transaction)
                                       : absl::OkStatus();
      }));
  int64_t added = 0;
  if (!absl::SimpleAtoi(ResultOfRecord(result), &added)) {
    return absl::InternalError("the record of the upload is not a number");
  }
  return added;
}

void DatasetUpload::Refuse(absl::string_view field, absl::string_view problem) {
  violations_.push_back(
      {absl::StrCat("examples[", count_, "].", field), std::string(problem)});
}

void DatasetUpload::CheckTexts(const Example& example) {
  switch (example.kind) {
    case ExampleKind::kPair:
      CheckText("pair.preferred", example.text, true);
      CheckText("pair.rejected", example.other_text, true);
      if (example.text == example.other_text) {
        Refuse("pair.rejected", "must differ from preferred");
      }
      return;
    case ExampleKind::kLabelled:
      CheckText("labelled.label", example.text, true);
      if (example.other_text.empty()) return;
      CheckText("labelled.attack", example.other_text, true);
      if (example.text == example.other_text) {
        Refuse("labelled.attack", "must differ from label");
      }
      return;
    case ExampleKind::kCaption:
      CheckText("caption.caption", example.text, false);
      return;
    case ExampleKind::kClean:
      return;
  }
  Refuse("kind", "must be one of pair, clean, labelled and caption");
}

void DatasetUpload::CheckText(absl::string_view field, absl::string_view text,
                              bool among_candidates) {
  const absl::Status status = ValidateText(field, text);
  for (const FieldViolation& violation : ErrorFields(status)) {
    Refuse(violation.field, violation.description);
  }
  if (status.ok() && among_candidates && candidates_named_ &&
      !candidates_.contains(text)) {
    Refuse(field, "is not among the dataset's candidates");
  }
}

void DatasetUpload::CheckAttributes(absl::string_view field,
                                    const storage::Attributes& attributes) {
  if (attributes.size() > kMaxAttributes) {
    return Refuse(field, absl::StrCat("must be at most ", kMaxAttributes));
  }
  for (const auto& [key, value] : attributes) {
    if (key.empty() || key.size() + value.size() > kMaxAttributeBytes ||
        key.find('\0') != std::string::npos ||
        value.find('\0') != std::string::npos) {
      return Refuse(field,
                    "every entry must have a name, no NUL and at most 1 KiB");
    }
  }
}

std::string DatasetUpload::CheckImage(absl::string_view field,
                                      absl::string_view image,
                                      absl::string_view claimed_digest) {
  const absl::Status status = image::InspectImage(image).status();
  if (!status.ok()) {
    Refuse(field, status.message());
    return "";
  }
  std::string digest = Sha256Hex(image);
  if (!claimed_digest.empty() && claimed_digest != digest) {
    Refuse(absl::StrCat(field, "_digest"),
           "is not the SHA-256 of the picture that came with it");
  }
  return digest;
}

void DatasetUpload::AddImage(const std::string& digest, std::string image) {
  images_bytes_ += image.size();
  images_.push_back({digest, std::move(image)});
}

absl::Status DatasetUpload::RefusedRows() const {
  return InvalidFields("INVALID_EXAMPLES", violations_);
}

absl::Status DatasetUpload::PutImages(const Images& images) const {
  std::vector<storage::BlobView> views;
  views.reserve(images.size());
  for (const auto& [digest, image] : images) views.push_back({digest, image});
  return blobs_.Put(views);
}

absl::Status DatasetUpload::AwaitBatch() {
  if (!storing_.valid()) return absl::OkStatus();
  const absl::Status stored = storing_.get();
  if (!absl::IsAborted(stored)) return stored;
  // Sealing gives up the uploads that run.
  return state_.Read([&](StateTransaction& transaction) -> absl::Status {
    ATTUNE_ASSIGN_OR_RETURN(const storage::Dataset dataset,
                            transaction.datasets().Get(dataset_));
    return dataset.state == storage::DatasetState::kOpen
               ? stored
               : DatasetSealed(dataset_);
  });
}

}  // namespace attune::core
