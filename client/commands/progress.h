#ifndef ATTUNE_CLIENT_COMMANDS_PROGRESS_H_
#define ATTUNE_CLIENT_COMMANDS_PROGRESS_H_

#include <ostream>
#include <string>

#include "absl/strings/string_view.h"

namespace attune::client {

// One line at the bottom of a terminal that is drawn again in place. Where no
// terminal is, only the lines of Print appear. Not thread-safe.
class ProgressLine {
 public:
  // `width`: columns of the terminal.
  ProgressLine(std::ostream& out, bool terminal, int width);
  // Removes the line.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool terminal() const { return terminal_; }

  // Draws a bar for `fraction` in [0, 1] and the text after it; a negative
  // fraction draws the text alone. What does not fit is cut.
  void Show(double fraction, absl::string_view text);

  // Prints a line that stays, above the drawn one.
  void Print(absl::string_view line);

  // Removes the drawn line.
  void Clear();

 private:
  std::ostream& out_;
  const bool terminal_;
  const int width_;
  bool drawn_ = false;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_COMMANDS_PROGRESS_H_
