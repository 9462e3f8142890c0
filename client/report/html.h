#ifndef ATTUNE_CLIENT_REPORT_HTML_H_
#define ATTUNE_CLIENT_REPORT_HTML_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace attune::client {

// Text for the content of an element or an attribute's quoted value.
std::string EscapeHtml(absl::string_view text);

// Builds HTML (or SVG) from the outside in; whatever is text is escaped.
class HtmlWriter {
 public:
  using Attributes = std::vector<std::pair<const char*, std::string>>;

  // An element that Close ends.
  void Open(const char* tag, const Attributes& attributes = {});
  // Ends the element that was opened last.
  void Close();
  // An element without content, such as <img> or, in SVG, <line/>.
  void Empty(const char* tag, const Attributes& attributes);
  void Text(absl::string_view text);
  // An element with nothing but text.
  void Element(const char* tag, absl::string_view text,
               const Attributes& attributes = {});
  // HTML as it is.
  void Raw(absl::string_view html);

  // Everything written, with what is open still open.
  const std::string& html() const { return html_; }

 private:
  void Begin(const char* tag, const Attributes& attributes);

  std::string html_;
  std::vector<const char*> open_;
};

// "data:image/jpeg;base64,…" of a JPEG, PNG or WebP file.
std::string DataUri(absl::string_view image_bytes);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_HTML_H_
