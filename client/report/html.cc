#include "client/report/html.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/image/image_header.h"

namespace attune::client {

std::string EscapeHtml(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"\"", "&quot;"},
                                    {"'", "&#39;"}});
}

void HtmlWriter::Begin(const char* tag, const Attributes& attributes) {
  absl::StrAppend(&html_, "<", tag);
  for (const auto& [name, value] : attributes) {
    absl::StrAppend(&html_, " ", name, "=\"", EscapeHtml(value), "\"");
  }
}

void HtmlWriter::Open(const char* tag, const Attributes& attributes) {
  Begin(tag, attributes);
  html_ += '>';
  open_.push_back(tag);
}

void HtmlWriter::Close() {
  absl::StrAppend(&html_, "</", open_.back(), ">\n");
  open_.pop_back();
}

void HtmlWriter::Empty(const char* tag, const Attributes& attributes) {
  Begin(tag, attributes);
  html_ += "/>";
}

void HtmlWriter::Text(absl::string_view text) { html_ += EscapeHtml(text); }

void HtmlWriter::Element(const char* tag, absl::string_view text,
                         const Attributes& attributes) {
  Open(tag, attributes);
  Text(text);
  Close();
}

void HtmlWriter::Raw(absl::string_view html) {
  html_.append(html.data(), html.size());
}

std::string DataUri(absl::string_view image_bytes) {
  const auto info = image::InspectImage(image_bytes);
  const std::string type =
      info.ok() ? absl::AsciiStrToLower(image::ImageTypeName(info->type))
                : "jpeg";
  return absl::StrCat("data:image/", type, ";base64,",
                      absl::Base64Escape(image_bytes));
}

}  // namespace attune::client
