#include "client/report/changed_pictures.h"

#include <algorithm>
#include <utility>

#include "common/image/decode.h"
#include "common/image/encode.h"
#include "common/image/preprocess.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Of one call, well below its limits.
constexpr size_t kMaxBatch = 64;
constexpr size_t kMaxBatchBytes = 16 << 20;
constexpr int kThumbnailSide = 160;  // pixels
constexpr int kThumbnailQuality = 88;

// How much the truth gained, where the best answers are all that is known.
double Change(const ChangedPicture& picture) {
  return picture.before.probability + picture.after.probability;
}

// Keeps the pictures that changed most.
void Keep(ChangedPicture picture, size_t kept,
          std::vector<ChangedPicture>* list) {
  const auto place = std::find_if(list->begin(), list->end(),
                                  [&](const ChangedPicture& other) {
                                    return Change(picture) > Change(other);
                                  });
  const bool is_last = place == list->end();
  if (is_last && list->size() >= kept) return;
  picture.image = MakeThumbnail(picture.image, kThumbnailSide);
  list->insert(place, std::move(picture));
  if (list->size() > kept) list->pop_back();
}

// Asks about pictures in batches.
class Comparer {
 public:
  Comparer(AttuneClient& client, const v1::Dataset& dataset,
           const std::string& before, const std::string& after, size_t kept)
      : client_(client), kept_(kept) {
    request_.set_version(after);
    request_.set_against(before);
    *request_.mutable_labels() = dataset.candidates();
    request_.set_top_k(1);
    changes_.dataset = dataset.name();
  }

  absl::Status Add(SampledExample example) {
    bytes_ += example.example.image().size();
    batch_.push_back(std::move(example));
    if (batch_.size() < kMaxBatch && bytes_ < kMaxBatchBytes) {
      return absl::OkStatus();
    }
    return Flush();
  }

  absl::Status Flush() {
    if (batch_.empty()) return absl::OkStatus();
    request_.clear_images();
    for (const SampledExample& sampled : batch_) {
      request_.add_images(sampled.example.image());
    }
    ATTUNE_ASSIGN_OR_RETURN(const v1::CompareResponse response,
                            client_.Compare(request_));
    const auto& after = response.answer().classifications();
    const auto& before = response.against_answer().classifications();
    const size_t answered =
        static_cast<size_t>(std::min(after.size(), before.size()));
    for (size_t i = 0; i < std::min(batch_.size(), answered); ++i) {
      const int item = static_cast<int>(i);
      if (after[item].scores().empty() || before[item].scores().empty()) {
        continue;
      }
      Compare(std::move(batch_[i]), before[item].scores(0),
              after[item].scores(0));
    }
    batch_.clear();
    bytes_ = 0;
    return absl::OkStatus();
  }

  PictureChanges TakeChanges() { return std::move(changes_); }
  int64_t asked_count() const { return changes_.asked_count; }

 private:
  void Compare(SampledExample sampled, const v1::LabelScore& before,
               const v1::LabelScore& after) {
    ++changes_.asked_count;
    const bool was_right = before.label() == sampled.truth;
    const bool is_right = after.label() == sampled.truth;
    if (was_right == is_right) return;
    ++(is_right ? changes_.gained_count : changes_.lost_count);
    ChangedPicture picture = {
        .image = std::move(*sampled.example.mutable_image()),
        .truth = std::move(sampled.truth),
        .written = std::move(sampled.written),
        .before = {before.label(), before.probability()},
        .after = {after.label(), after.probability()}};
    Keep(std::move(picture), kept_,
         is_right ? &changes_.gained : &changes_.lost);
  }

  AttuneClient& client_;
  const size_t kept_;
  v1::CompareRequest request_;
  std::vector<SampledExample> batch_;
  size_t bytes_ = 0;
  PictureChanges changes_;
};

}  // namespace

absl::Status SampleExamples(
    AttuneClient& client, const v1::Dataset& dataset, int64_t limit,
    int64_t among, const std::function<absl::Status(SampledExample)>& visit) {
  const int64_t total =
      std::min(among, dataset.pair_count() + dataset.labelled_count());
  const int64_t wanted = std::min(limit, total);
  if (wanted <= 0) return absl::OkStatus();
  int64_t seen = 0;
  int64_t taken = 0;
  const absl::Status status = client.DownloadExamples(
      dataset.name(), [&](const v1::Example& example) -> absl::Status {
        if (!example.has_pair() && !example.has_labelled()) {
          return absl::OkStatus();
        }
        // The first of each of `wanted` parts of about equal length.
        if (seen++ < taken * total / wanted) return absl::OkStatus();
        ++taken;
        SampledExample sampled;
        sampled.example = example;
        sampled.truth = example.has_pair() ? example.pair().preferred()
                                           : example.labelled().label();
        sampled.written = example.has_pair() ? example.pair().rejected()
                                             : example.labelled().attack();
        ATTUNE_RETURN_IF_ERROR(visit(std::move(sampled)));
        return taken == wanted ? absl::CancelledError("enough")
                               : absl::OkStatus();
      });
  return taken == wanted && absl::IsCancelled(status) ? absl::OkStatus()
                                                      : status;
}

absl::StatusOr<PictureChanges> FindChangedPictures(
    AttuneClient& client, const v1::Dataset& dataset,
    const std::string& before_version, const std::string& after_version,
    int64_t limit, size_t kept,
    const std::function<void(int64_t done, int64_t total)>& progress) {
  Comparer comparer(client, dataset, before_version, after_version, kept);
  const int64_t total =
      std::min(limit, dataset.pair_count() + dataset.labelled_count());
  ATTUNE_RETURN_IF_ERROR(
      SampleExamples(client, dataset, limit, /*among=*/INT64_MAX,
                     [&](SampledExample sampled) -> absl::Status {
                       ATTUNE_RETURN_IF_ERROR(comparer.Add(std::move(sampled)));
                       progress(comparer.asked_count(), total);
                       return absl::OkStatus();
                     }));
  ATTUNE_RETURN_IF_ERROR(comparer.Flush());
  return comparer.TakeChanges();
}

std::string MakeThumbnail(const std::string& image_bytes, int side) {
  const absl::StatusOr<image::RgbImage> picture =
      image::DecodeImage(image_bytes);
  if (!picture.ok() || (picture->width <= side && picture->height <= side)) {
    return image_bytes;
  }
  const image::RgbImage small = {
      .width = side,
      .height = side,
      .pixels = image::PreprocessToRgb8(*picture, side)};
  const absl::StatusOr<std::string> jpeg =
      image::EncodeJpeg(small, kThumbnailQuality);
  return jpeg.ok() ? *jpeg : image_bytes;
}

}  // namespace attune::client
