// Texts made ready for the text tower.
//
// Under a causal mask the states of a token depend only on the tokens before
// it, so texts that begin alike share the states of their common beginning.
// PackTexts lays every distinct prefix of the texts into one sequence, a row
// each: the row's position is its depth, and it attends to its ancestors, as
// it would in its own text. The embedding is read at the row where the text
// ends. 100 prompts "a photo of a ….": 317 rows instead of 7,700.

#ifndef ATTUNE_WORKER_MODEL_TEXT_BATCH_H_
#define ATTUNE_WORKER_MODEL_TEXT_BATCH_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/safetensors/clip_layout.h"

namespace attune::model {

// R rows in groups; rows attend only to rows of their own group, which keeps
// the masks small. L distinct texts.
struct TextBatch {
  // Token and position of every row, int64 [R]; a parent comes before its
  // children.
  at::Tensor tokens;
  at::Tensor positions;
  // Row where each distinct text ends, int64 [L], rising.
  at::Tensor readout_rows;
  // Which distinct text each text is, int64 [N].
  at::Tensor text_index;
  // The rows of each text by depth, int64 [N, T] for the longest of T tokens;
  // a shorter one repeats its last row.
  at::Tensor text_rows;
  // Of each row a text, of the N, that goes through it, int64 [R].
  at::Tensor row_texts;

  // One run of rows, R_g of them, in which L_g distinct texts end.
  struct Group {
    int64_t rows = 0;
    int64_t readouts = 0;
    // Added to the attention scores: 0 where the column is the row itself or
    // an ancestor, else −∞. float [R_g, R_g].
    at::Tensor mask;
    // Those rows of the mask in which a text ends, [L_g, R_g].
    at::Tensor readout_mask;
  };
  std::vector<Group> groups;

  int64_t text_count() const { return text_index.numel(); }
  int64_t row_count() const { return tokens.numel(); }
  // A copy on `device`.
  TextBatch To(at::Device device) const;
};

// States of rows [R, W] as those of texts by depth, [N, T, W], and back: a
// text's own states serve it in every batch. Depths after a text's end are
// whatever; back takes [N, T', W] with T' ≥ T.
at::Tensor StatesOfTexts(const TextBatch& batch, const at::Tensor& row_states);
at::Tensor StatesOfRows(const TextBatch& batch, const at::Tensor& text_states);

// Rows of a group from which on the next text begins a new one. Attention
// over a few hundred rows costs little beside the matrix products; splitting
// further would repeat prefixes.
inline constexpr int64_t kRowsPerGroup = 256;

// Packs texts given as token rows: start, words, end, with or without padding
// after the end. A row ends at the first token with its highest id, which is
// where OpenAI's code reads out.
// INVALID_ARGUMENT, reason INVALID_TOKENS, when a row is empty, longer than
// `context_length` before its end, or has a token outside
// [0, vocabulary_size).
absl::StatusOr<TextBatch> PackTexts(
    const std::vector<std::vector<int32_t>>& token_rows,
    const ClipConfig& config, int64_t rows_per_group = kRowsPerGroup);

// The plain counterpart, for tests: every text in a group of its own, nothing
// shared. The same errors.
absl::StatusOr<TextBatch> SeparateTexts(
    const std::vector<std::vector<int32_t>>& token_rows,
    const ClipConfig& config);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_TEXT_BATCH_H_
