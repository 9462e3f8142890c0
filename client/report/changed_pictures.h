#ifndef ATTUNE_CLIENT_REPORT_CHANGED_PICTURES_H_
#define ATTUNE_CLIENT_REPORT_CHANGED_PICTURES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/attune_client.h"

namespace attune::client {

// The best candidate of one version for one picture.
struct Answer {
  std::string text;
  double probability = 0;
};

// A picture that one of two versions answers rightly.
struct ChangedPicture {
  // As the model sees it, small.
  std::string image;
  std::string truth;
  // The text of the word on it, or the rejected text; empty for none.
  std::string written;
  Answer before;
  Answer after;
};

struct PictureChanges {
  std::string dataset;
  // Pictures that both versions were asked about.
  int64_t asked_count = 0;
  int64_t gained_count = 0;
  int64_t lost_count = 0;
  // Some of them, those whose answers changed most first.
  std::vector<ChangedPicture> gained;
  std::vector<ChangedPicture> lost;
};

// A picture of the dataset with its text or texts.
struct SampledExample {
  v1::Example example;
  // The label or the preferred text.
  std::string truth;
  // The attack or the rejected text.
  std::string written;
};

// Calls `visit` with `limit` of the first `among` pairs and labelled examples
// of the dataset, evenly over them, or with all when there are fewer, and ends
// the download then. An error of `visit` ends it too.
absl::Status SampleExamples(
    AttuneClient& client, const v1::Dataset& dataset, int64_t limit,
    int64_t among, const std::function<absl::Status(SampledExample)>& visit);

// Asks two versions about `limit` pictures of the dataset, each for the best
// of its candidates, and keeps at most `kept` pictures that only the one or
// only the other answers rightly. Pictures that a version could not answer are
// not counted. Errors are those of Compare and DownloadExamples.
absl::StatusOr<PictureChanges> FindChangedPictures(
    AttuneClient& client, const v1::Dataset& dataset,
    const std::string& before_version, const std::string& after_version,
    int64_t limit, size_t kept,
    const std::function<void(int64_t done, int64_t total)>& progress);

// The picture's square as the model sees it, at most `side` pixels, as a JPEG
// file; a smaller picture, and one that does not decode, stays as it is.
std::string MakeThumbnail(const std::string& image_bytes, int side);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_CHANGED_PICTURES_H_
