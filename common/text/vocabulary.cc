#include "common/text/vocabulary.h"

#include <zlib.h>

#include <cassert>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

extern "C" const char attune_clip_vocabulary_begin[];
extern "C" const char attune_clip_vocabulary_end[];

namespace attune::text {
namespace {

// The file goes on with merges that CLIP does not use.
constexpr int kClipMerges = 48894;

// The bytes that GPT-2 writes as themselves, in its order; the other 68 are
// written as the characters from U+0100 on.
bool IsPrintable(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
         byte >= 174;
}

// Byte of each rank: the printable ones first.
std::vector<unsigned char> BytesInRankOrder() {
  std::vector<unsigned char> bytes;
  for (bool printable : {true, false}) {
    for (int byte = 0; byte < 256; ++byte) {
      if (IsPrintable(byte) == printable) bytes.push_back(byte);
    }
  }
  return bytes;
}

// Turns the characters of `part`, all below U+0800, back into bytes.
std::string DecodeCharacters(absl::string_view part,
                             const std::vector<unsigned char>& by_rank) {
  std::string bytes;
  for (size_t i = 0; i < part.size(); ++i) {
    unsigned int character = static_cast<unsigned char>(part[i]);
    if (character >= 0x80) {
      assert(i + 1 < part.size());
      character = (character & 0x1f) << 6 |
                  (static_cast<unsigned char>(part[++i]) & 0x3f);
    }
    // 188 bytes are printable.
    bytes.push_back(static_cast<char>(
        character < 0x100 ? character : by_rank[188 + character - 0x100]));
  }
  return bytes;
}

// The character that GPT-2 writes for the byte of a rank, in UTF-8.
std::string WrittenByte(int rank, const std::vector<unsigned char>& by_rank) {
  const unsigned char byte = by_rank[rank];
  const int character = IsPrintable(byte) ? byte : 0x100 + rank - 188;
  std::string written;
  if (character < 0x80) {
    written.push_back(static_cast<char>(character));
  } else {
    written.push_back(static_cast<char>(0xc0 | character >> 6));
    written.push_back(static_cast<char>(0x80 | (character & 0x3f)));
  }
  return written;
}

}  // namespace

std::string Vocabulary::ClipMerges() {
  std::string text(4 << 20, '\0');
  z_stream stream = {};
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(attune_clip_vocabulary_begin));
  stream.avail_in = static_cast<uInt>(attune_clip_vocabulary_end -
                                      attune_clip_vocabulary_begin);
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  // The build checks the file's digest, so that this cannot fail.
  [[maybe_unused]] int result = inflateInit2(&stream, MAX_WBITS + 16);
  assert(result == Z_OK);
  result = inflate(&stream, Z_FINISH);
  assert(result == Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);

  size_t end = text.find('\n');  // The first line is a version.
  const size_t begin = end + 1;
  for (int i = 0; i < kClipMerges; ++i) end = text.find('\n', end + 1);
  return text.substr(begin, end - begin);
}

std::vector<std::string> Vocabulary::ClipTokens() {
  const std::vector<unsigned char> by_rank = BytesInRankOrder();
  std::vector<std::string> tokens;
  for (absl::string_view end : {"", "</w>"}) {
    for (int rank = 0; rank < 256; ++rank) {
      tokens.push_back(absl::StrCat(WrittenByte(rank, by_rank), end));
    }
  }
  const std::string merges = ClipMerges();
  for (absl::string_view line : absl::StrSplit(merges, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    tokens.push_back(absl::StrCat(parts.first, parts.second));
  }
  tokens.push_back("<|startoftext|>");
  tokens.push_back("<|endoftext|>");
  return tokens;
}

Vocabulary::Vocabulary(absl::string_view merges) {
  const std::vector<unsigned char> by_rank = BytesInRankOrder();
  for (bool ends_word : {false, true}) {
    for (int rank = 0; rank < 256; ++rank) {
      const std::string byte(1, static_cast<char>(by_rank[rank]));
      if (ends_word) words_[byte] = static_cast<int32_t>(tokens_.size());
      tokens_.push_back({byte, ends_word});
    }
  }
  for (int rank = 0; rank < 256; ++rank) byte_tokens_[by_rank[rank]] = rank;

  // Parts are looked up as written, "</w>" included.
  absl::flat_hash_map<std::string, int32_t> ids;
  for (int32_t id = 0; id < 256; ++id) {
    const std::string written = WrittenByte(id, by_rank);
    ids[written] = id;
    ids[written + "</w>"] = id + 256;
  }
  for (absl::string_view line : absl::StrSplit(merges, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    const int32_t id = static_cast<int32_t>(tokens_.size());
    assert(ids.contains(parts.first) && ids.contains(parts.second));
    merges_[PairKey(ids[parts.first], ids[parts.second])] = id;

    const std::string written =
        std::string(parts.first) + std::string(parts.second);
    ids[written] = id;
    absl::string_view part = written;
    const bool ends_word = absl::ConsumeSuffix(&part, "</w>");
    tokens_.push_back({DecodeCharacters(part, by_rank), ends_word});
    if (ends_word) words_[tokens_.back().bytes] = id;
  }
}

Vocabulary Vocabulary::Clip() { return Vocabulary(ClipMerges()); }

}  // namespace attune::text
