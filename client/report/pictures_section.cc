#include "client/report/pictures_section.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

void WriteImage(const std::string& bytes, const std::string& description,
                HtmlWriter& html) {
  html.Empty("img", {{"src", DataUri(bytes)}, {"alt", description}});
}

void WriteTerm(const char* term, const std::string& text,
               const std::string& style, HtmlWriter& html) {
  if (text.empty()) return;
  html.Element("dt", term);
  html.Element("dd", text, {{"class", style}});
}

std::string Say(const Answer& answer) {
  return absl::StrFormat("%s (%.0f %%)", answer.text, 100 * answer.probability);
}

void WriteChanged(const ChangedPicture& picture, bool gained,
                  HtmlWriter& html) {
  html.Open("div", {{"class", "picture"}});
  std::string description = absl::StrCat("a picture of: ", picture.truth);
  if (!picture.written.empty()) {
    absl::StrAppend(&description, "; written or rejected: ", picture.written);
  }
  WriteImage(picture.image, description, html);
  html.Open("dl");
  WriteTerm("Right", picture.truth, "", html);
  WriteTerm("Before", Say(picture.before), gained ? "bad" : "good", html);
  WriteTerm("After", Say(picture.after), gained ? "good" : "bad", html);
  html.Close();
  html.Close();
}

void WriteList(const std::string& title,
               const std::vector<ChangedPicture>& pictures, bool gained,
               HtmlWriter& html) {
  html.Element("h3", title);
  if (pictures.empty()) return;
  html.Open("div", {{"class", "pictures"}});
  for (const ChangedPicture& picture : pictures) {
    WriteChanged(picture, gained, html);
  }
  html.Close();
}

}  // namespace

void WriteChangedPictures(const Report& report, HtmlWriter& html) {
  html.Element("h2", "Pictures whose answer changed");
  if (!report.changes) {
    html.Element("p", absl::StrCat("None: ", report.why_no_changes, "."));
    return;
  }
  const PictureChanges& changes = *report.changes;
  html.Element("p",
               absl::StrCat("Both versions were asked about ",
                            FormatCount(changes.asked_count), " pictures of ",
                            changes.dataset,
                            "; those are shown whose answers were the surest."),
               {{"class", "note"}});
  WriteList(
      absl::StrCat("Right only after: ", FormatCount(changes.gained_count)),
      changes.gained, /*gained=*/true, html);
  WriteList(
      absl::StrCat("Right only before: ", FormatCount(changes.lost_count)),
      changes.lost, /*gained=*/false, html);
}

void WriteAttacks(const Report& report, HtmlWriter& html) {
  if (report.attacks.empty()) return;
  html.Element("h2", "What it was trained on");
  html.Element("p",
               "Some of the pairs: the text to prefer, the text to reject, "
               "and the clean picture where the pair has one.",
               {{"class", "note"}});
  html.Open("div", {{"class", "pairs"}});
  for (const AttackExample& attack : report.attacks) {
    html.Open("div", {{"class", "picture"}});
    html.Open("div", {{"class", "twins"}});
    if (!attack.clean.empty()) {
      WriteImage(attack.clean, absl::StrCat("clean: ", attack.preferred), html);
    }
    WriteImage(attack.attacked,
               absl::StrCat("of the pair: ", attack.preferred, " rather than ",
                            attack.rejected),
               html);
    html.Close();
    html.Open("dl");
    WriteTerm("Preferred", attack.preferred, "good", html);
    WriteTerm("Rejected", attack.rejected, "bad", html);
    html.Close();
    html.Close();
  }
  html.Close();
}

}  // namespace attune::client
