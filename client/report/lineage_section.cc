#include "client/report/lineage_section.h"

#include <google/protobuf/util/json_util.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

void WriteRow(const std::string& name, const std::string& value,
              const std::string& digest, HtmlWriter& html) {
  if (value.empty() && digest.empty()) return;
  html.Open("tr");
  html.Element("th", name, {{"scope", "row"}});
  html.Open("td");
  html.Text(value);
  if (!digest.empty()) {
    if (!value.empty()) html.Raw("<br/>");
    html.Element("span", digest, {{"class", "digest"}});
  }
  html.Close();
  html.Close();
}

void WriteDataset(const std::string& title, const std::string& name,
                  const std::optional<v1::Dataset>& dataset, HtmlWriter& html) {
  if (name.empty()) return;
  if (!dataset) {
    WriteRow(title, absl::StrCat(name, " (deleted)"), "", html);
    return;
  }
  WriteRow(title,
           absl::StrCat(name, ", ", FormatCount(dataset->example_count()),
                        " examples, ", FormatCount(dataset->candidates_size()),
                        " candidates"),
           dataset->digest(), html);
}

void WriteVersion(const std::string& title, const v1::Version& version,
                  HtmlWriter& html) {
  if (version.model().empty()) return;
  const char* source =
      version.source() == v1::Version::SOURCE_AVERAGE ? ", average over the run"
      : version.source() == v1::Version::SOURCE_LAST_ITERATE ? ", last iterate"
                                                             : "";
  WriteRow(title,
           absl::StrCat(version.model(), ":", version.number(), source, ", ",
                        FormatCount(version.parameter_count()), " parameters"),
           version.digest(), html);
}

// The configuration with every default filled in, as the API has it.
std::string SpecJson(const v1::TrainSpec& spec) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails only for Any messages of unknown type, which no spec holds.
  google::protobuf::util::MessageToJsonString(spec, &json, options).ok();
  return json;
}

}  // namespace

void WriteLineage(const Report& report, HtmlWriter& html) {
  const v1::Job& job = report.job;
  html.Element("h2", "Lineage");
  html.Open("div", {{"class", "scroll"}});
  html.Open("table", {{"class", "wide"}});
  html.Open("tbody");
  WriteRow("Job", job.id(), "", html);
  WriteRow("Configuration", "", job.config_digest(), html);
  WriteRow("Seed", absl::StrCat(job.train().seed()), "", html);
  WriteVersion("Trained from", report.base, html);
  WriteDataset("Dataset", job.train().dataset(), report.dataset, html);
  WriteDataset("Evaluated on", job.train().eval_dataset(), report.eval_dataset,
               html);
  for (const v1::Version& version : report.versions) {
    WriteVersion("Made", version, html);
  }
  WriteRow("Ran",
           absl::StrCat(FormatTimeUtc(job.start_time()), " to ",
                        FormatTimeUtc(job.end_time()), ", ", job.attempt(),
                        job.attempt() == 1 ? " attempt" : " attempts"),
           "", html);
  html.Close();
  html.Close();
  html.Close();
  html.Open("details");
  html.Element("summary", "The whole configuration");
  html.Element("pre", SpecJson(job.train()));
  html.Close();
  if (report.events.empty()) return;
  html.Open("details");
  html.Element("summary", "What happened");
  html.Open("ul");
  for (const v1::JobEvent& event : report.events) {
    html.Element(
        "li", absl::StrCat(FormatTimeUtc(event.time()), " ", event.message()));
  }
  html.Close();
  html.Close();
}

}  // namespace attune::client
