#include "client/commands/progress.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"

namespace attune::client {
namespace {

constexpr int kBarColumns = 24;

// Escape sequences of every terminal since the VT100: to the first column and
// erase the line.
constexpr char kEraseLine[] = "\r\x1b[K";

std::string Bar(double fraction) {
  fraction = std::clamp(fraction, 0.0, 1.0);
  const int filled = static_cast<int>(fraction * kBarColumns);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < kBarColumns) bar += '>';
  bar.resize(kBarColumns, ' ');
  return absl::StrFormat("%3d%% [%s] ", static_cast<int>(fraction * 100), bar);
}

}  // namespace

ProgressLine::ProgressLine(std::ostream& out, bool terminal, int width)
    : out_(out), terminal_(terminal), width_(width) {}

ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Show(double fraction, absl::string_view text) {
  if (!terminal_) return;
  std::string line = fraction < 0 ? "" : Bar(fraction);
  line.append(text.data(), text.size());
  // A line that wraps could not be erased.
  const size_t limit = static_cast<size_t>(std::max(1, width_ - 1));
  if (line.size() > limit) line.resize(limit);
  out_ << kEraseLine << line << std::flush;
  drawn_ = true;
}

void ProgressLine::Print(absl::string_view line) {
  Clear();
  out_ << line << '\n' << std::flush;
}

void ProgressLine::Clear() {
  if (drawn_) out_ << kEraseLine << std::flush;
  drawn_ = false;
}

}  // namespace attune::client
