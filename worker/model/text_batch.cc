#include "worker/model/text_batch.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/model/upload.h"

namespace attune::model {
namespace {

using Row = std::vector<int32_t>;

// The row up to its first token with the highest id.
absl::StatusOr<Row> CutRow(const Row& row, size_t number,
                           const ClipConfig& config) {
  const auto invalid = [&](absl::string_view problem) {
    return Error(absl::StatusCode::kInvalidArgument, "INVALID_TOKENS",
                 absl::StrCat("text ", number, " ", problem));
  };
  if (row.empty()) return invalid("has no tokens");
  const auto end = std::max_element(row.begin(), row.end()) + 1;
  if (end - row.begin() > config.context_length) {
    return invalid(absl::StrCat("has ", end - row.begin(),
                                " tokens; the model takes ",
                                config.context_length));
  }
  for (auto token = row.begin(); token != end; ++token) {
    if (*token < 0 || *token >= config.vocabulary_size) {
      return invalid(absl::StrCat("has the token ", *token,
                                  ", which is not in the vocabulary of ",
                                  config.vocabulary_size));
    }
  }
  return Row(row.begin(), end);
}

at::Tensor Int64Tensor(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

// Collects rows; texts come in lexicographic order, so that a text shares
// with the texts before it exactly what it shares with the last one.
class Packer {
 public:
  // `previous` is the text added before, whose rows of the current group are
  // path_.
  void Add(const Row& text, const Row& previous) {
    const auto differ = std::mismatch(
        text.begin(), text.end(), previous.begin(),
        previous.begin() + std::min(previous.size(), path_.size()));
    path_.resize(differ.first - text.begin());
    for (size_t depth = path_.size(); depth < text.size(); ++depth) {
      parents_.push_back(depth == 0 ? -1 : path_.back());
      path_.push_back(static_cast<int64_t>(parents_.size()) - 1);
      tokens_.push_back(text[depth]);
      positions_.push_back(static_cast<int64_t>(depth));
    }
    readouts_.push_back(path_.back());
    // Rows of all groups, and which distinct text was first in each.
    const int64_t first = static_cast<int64_t>(tokens_.size()) - group_rows();
    std::vector<int64_t>& rows = text_rows_.emplace_back(path_);
    for (int64_t& row : rows) row += first;
    owners_.resize(tokens_.size(), static_cast<int64_t>(text_rows_.size()) - 1);
  }

  int64_t group_rows() const { return static_cast<int64_t>(parents_.size()); }

  void EndGroup() {
    const int64_t rows = group_rows();
    at::Tensor mask =
        at::full({rows, rows}, -std::numeric_limits<float>::infinity());
    float* values = mask.data_ptr<float>();
    for (int64_t row = 0; row < rows; ++row) {
      float* own = values + row * rows;
      if (const int64_t parent = parents_[row]; parent >= 0) {
        std::copy_n(values + parent * rows, parent + 1, own);
      }
      own[row] = 0;
    }
    batch_.groups.push_back(
        {.rows = rows,
         .readouts = static_cast<int64_t>(readouts_.size()),
         .mask = mask,
         .readout_mask = mask.index_select(0, Int64Tensor(readouts_))});
    const int64_t first = static_cast<int64_t>(tokens_.size()) - rows;
    for (int64_t row : readouts_) readout_rows_.push_back(first + row);
    parents_.clear();
    readouts_.clear();
    path_.clear();
  }

  TextBatch Finish(const std::vector<int64_t>& text_index) {
    batch_.tokens = Int64Tensor(tokens_);
    batch_.positions = Int64Tensor(positions_);
    batch_.readout_rows = Int64Tensor(readout_rows_);
    batch_.text_index = Int64Tensor(text_index);
    AddRowsOfTexts(text_index);
    return std::move(batch_);
  }

 private:
  void AddRowsOfTexts(const std::vector<int64_t>& text_index) {
    size_t longest = 0;
    for (const auto& rows : text_rows_) {
      longest = std::max(longest, rows.size());
    }
    std::vector<int64_t> by_depth, first_text(text_rows_.size());
    // Backwards, so that the first of equal texts stays.
    for (size_t text = text_index.size(); text-- > 0;) {
      first_text[text_index[text]] = static_cast<int64_t>(text);
    }
    for (int64_t distinct : text_index) {
      const std::vector<int64_t>& rows = text_rows_[distinct];
      by_depth.insert(by_depth.end(), rows.begin(), rows.end());
      by_depth.insert(by_depth.end(), longest - rows.size(), rows.back());
    }
    for (int64_t& owner : owners_) owner = first_text[owner];
    batch_.text_rows =
        Int64Tensor(by_depth).view({static_cast<int64_t>(text_index.size()),
                                    static_cast<int64_t>(longest)});
    batch_.row_texts = Int64Tensor(owners_);
  }

  TextBatch batch_;
  std::vector<int64_t> tokens_, positions_, readout_rows_;
  // Of each distinct text its rows, and of each row a distinct text.
  std::vector<std::vector<int64_t>> text_rows_;
  std::vector<int64_t> owners_;
  // Of the current group: each row's parent, the rows where a text ends, and
  // the last text's rows by depth.
  std::vector<int64_t> parents_, readouts_, path_;
};

}  // namespace

TextBatch TextBatch::To(at::Device device) const {
  TextBatch copy = *this;
  for (at::Tensor* tensor :
       {&copy.tokens, &copy.positions, &copy.readout_rows, &copy.text_index,
        &copy.text_rows, &copy.row_texts}) {
    *tensor = Upload(*tensor, device);
  }
  for (Group& group : copy.groups) {
    group.mask = Upload(group.mask, device);
    group.readout_mask = Upload(group.readout_mask, device);
  }
  return copy;
}

at::Tensor StatesOfTexts(const TextBatch& batch, const at::Tensor& row_states) {
  return row_states.index_select(0, batch.text_rows.flatten())
      .view({batch.text_rows.size(0), batch.text_rows.size(1), -1});
}

at::Tensor StatesOfRows(const TextBatch& batch, const at::Tensor& text_states) {
  return text_states.flatten(0, 1).index_select(
      0, batch.row_texts * text_states.size(1) + batch.positions);
}

absl::StatusOr<TextBatch> PackTexts(const std::vector<Row>& token_rows,
                                    const ClipConfig& config,
                                    int64_t rows_per_group) {
  // Distinct texts in lexicographic order, each with its place there.
  std::map<Row, int64_t> places;
  std::vector<std::map<Row, int64_t>::iterator> texts;
  for (size_t n = 0; n < token_rows.size(); ++n) {
    ATTUNE_ASSIGN_OR_RETURN(Row row, CutRow(token_rows[n], n, config));
    texts.push_back(places.try_emplace(std::move(row), 0).first);
  }
  Packer packer;
  const Row none;
  const Row* previous = &none;
  int64_t place = 0;
  for (auto& [row, own_place] : places) {
    if (packer.group_rows() >= rows_per_group) packer.EndGroup();
    packer.Add(row, *previous);
    previous = &row;
    own_place = place++;
  }
  if (packer.group_rows() > 0) packer.EndGroup();
  std::vector<int64_t> text_index;
  for (const auto& text : texts) text_index.push_back(text->second);
  return packer.Finish(text_index);
}

absl::StatusOr<TextBatch> SeparateTexts(const std::vector<Row>& token_rows,
                                        const ClipConfig& config) {
  Packer packer;
  std::vector<int64_t> text_index;
  for (size_t n = 0; n < token_rows.size(); ++n) {
    ATTUNE_ASSIGN_OR_RETURN(const Row row, CutRow(token_rows[n], n, config));
    packer.Add(row, {});
    packer.EndGroup();
    text_index.push_back(static_cast<int64_t>(n));
  }
  return packer.Finish(text_index);
}

}  // namespace attune::model
