#include "client/commands/job_options.h"

#include <string>
#include <vector>

#include "common/error.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

// The request of a command line; CLI11 takes the arguments from the back.
absl::StatusOr<v1::TrainSpec> Parse(std::vector<std::string> arguments) {
  CLI::App app;
  JobOptions options;
  AddJobOptions(app, options);
  std::vector<std::string> all = {
      "--dataset", "rta", "--model", "base:1", "--output-model", "robust"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  app.parse(std::vector<std::string>(all.rbegin(), all.rend()));
  return ToTrainSpec(options);
}

void ExpectSpec(const std::vector<std::string>& arguments,
                const std::string& text) {
  const absl::StatusOr<v1::TrainSpec> spec = Parse(arguments);
  ASSERT_TRUE(spec.ok()) << spec.status();
  v1::TrainSpec expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &expected));
  expected.set_dataset("rta");
  expected.set_base("base:1");
  expected.set_output_model("robust");
  EXPECT_TRUE(
      google::protobuf::util::MessageDifferencer::Equals(*spec, expected))
      << spec->DebugString();
}

TEST(JobOptions, WhatIsNotGivenStaysUnset) { ExpectSpec({}, "dpo {}"); }

TEST(JobOptions, ZeroIsDifferentFromUnset) {
  ExpectSpec({"--kl-weight", "0", "--seed", "0"},
             "dpo { kl_weight: 0 } seed: 0");
}

TEST(JobOptions, BoundsMakeAGuard) {
  ExpectSpec({"--eval-dataset", "held-out", "--max-drop", "clean_top1=0.01",
              "--max-drop", "pair_accuracy=0", "--eval-every", "20",
              "--patience", "3", "--best-by", "attacked_top1"},
             R"(dpo {} eval_dataset: "held-out" guard {
                  max_drop { key: "clean_top1" value: 0.01 }
                  max_drop { key: "pair_accuracy" value: 0 }
                  eval_every: 20 patience: 3 best_by: "attacked_top1" })");
}

TEST(JobOptions, ABoundThatCannotBeReadIsAUsageError) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--max-drop", "clean_top1"},
        {"--max-drop", "=0.1"},
        {"--max-drop", "clean_top1=little"},
        {"--max-drop", "clean_top1=0.1", "--max-drop", "clean_top1=0.2"},
        {"--eval-every", "5"},
        {"--patience", "5"},
        {"--best-by", "clean_top1"}}) {
    const absl::Status status = Parse(arguments).status();
    EXPECT_EQ(ErrorReason(status), "USAGE") << arguments.back();
  }
}

TEST(JobOptions, EveryOptionReachesItsField) {
  ExpectSpec({"--objective",
              "dpo",
              "--beta",
              "0.5",
              "--kl-weight",
              "0.25",
              "--label-smoothing",
              "0.1",
              "--optimizer",
              "adamw",
              "--learning-rate",
              "1e-3",
              "--weight-decay",
              "0.05",
              "--warmup-ratio",
              "0.125",
              "--schedule",
              "constant",
              "--epochs",
              "30",
              "--batch-size",
              "16",
              "--clean-batch-size",
              "24",
              "--micro-batch",
              "8",
              "--seed",
              "7",
              "--freeze-logit-scale",
              "--no-average",
              "--checkpoint-every",
              "50",
              "--eval-dataset",
              "held",
              "--truncate"},
             R"pb(dpo { beta: 0.5 kl_weight: 0.25 label_smoothing: 0.1 }
                  optimizer {
                    kind: KIND_ADAMW
                    learning_rate: 1e-3
                    weight_decay: 0.05
                    warmup_ratio: 0.125
                    schedule: SCHEDULE_CONSTANT
                  }
                  epochs: 30
                  batch_size: 16
                  clean_batch_size: 24
                  micro_batch_size: 8
                  seed: 7
                  freeze_logit_scale: true
                  average: false
                  checkpoint_every: 50
                  eval_dataset: "held"
                  truncate: true)pb");
}

TEST(JobOptions, StepsAndAverage) {
  ExpectSpec(
      {"--objective", "infonce", "--steps", "2000", "--average", "--optimizer",
       "adamax", "--schedule", "cosine", "--kl-weight", "0.5"},
      R"pb(infonce { kl_weight: 0.5 }
           steps: 2000
           average: true
           optimizer { kind: KIND_ADAMAX schedule: SCHEDULE_COSINE })pb");
}

TEST(JobOptions, EveryObjectiveTakesItsOptions) {
  ExpectSpec({"--objective", "ipo", "--beta", "0.1", "--kl-weight", "0.5"},
             "ipo { beta: 0.1 kl_weight: 0.5 }");
  ExpectSpec({"--objective", "kto", "--beta", "1", "--kl-weight", "0",
              "--desirable-weight", "1.3", "--undesirable-weight", "0.7"},
             "kto { beta: 1 kl_weight: 0 desirable_weight: 1.3 "
             "undesirable_weight: 0.7 }");
  ExpectSpec({"--objective", "ce", "--kl-weight", "0.3"},
             "ce { kl_weight: 0.3 }");
}

TEST(JobOptions, TrainNamesAPart) {
  ExpectSpec({"--train", "all"}, "dpo {} trained_part { kind: KIND_ALL }");
  ExpectSpec({"--train", "image"}, "dpo {} trained_part { kind: KIND_IMAGE }");
  ExpectSpec({"--train", "text"}, "dpo {} trained_part { kind: KIND_TEXT }");
  ExpectSpec({"--train", "last:2"},
             "dpo {} trained_part { kind: KIND_LAST last_blocks: 2 }");
}

TEST(JobOptions, PrecisionReachesItsField) {
  ExpectSpec({"--precision", "auto"}, "dpo {} precision: PRECISION_AUTO");
  ExpectSpec({"--precision", "fp32"}, "dpo {} precision: PRECISION_FP32");
  ExpectSpec({"--precision", "bf16"}, "dpo {} precision: PRECISION_BF16");
  EXPECT_THROW(Parse({"--precision", "fp16"}).IgnoreError(), CLI::ParseError);
}

TEST(JobOptions, APartThatIsNoneIsAUsageError) {
  for (const char* part : {"vision", "last", "last:", "last:0", "last:-1",
                           "last:two", "last:99999999999"}) {
    const absl::Status status = Parse({"--train", part}).status();
    EXPECT_EQ(ErrorReason(status), "USAGE") << part;
    EXPECT_EQ(status.message().find("--train"), 0u) << status;
  }
}

TEST(JobOptions, AnOptionOfAnotherObjectiveIsAUsageErrorNamingIt) {
  const std::vector<std::vector<std::string>> foreign = {
      {"infonce", "--beta"},
      {"infonce", "--label-smoothing"},
      {"ce", "--beta"},
      {"ipo", "--label-smoothing"},
      {"kto", "--label-smoothing"},
      {"dpo", "--desirable-weight"},
      {"ipo", "--undesirable-weight"}};
  for (const auto& option : foreign) {
    const absl::Status status =
        Parse({"--objective", option[0], option[1], "0.1"}).status();
    EXPECT_EQ(ErrorReason(status), "USAGE");
    EXPECT_EQ(status.message().find(option[1]), 0u) << status;
  }
}

TEST(JobOptions, AHeadIsTrainedWithItsPenalty) {
  ExpectSpec({"--train", "head"}, "dpo {} trained_part { kind: KIND_HEAD }");
  ExpectSpec({"--train", "head", "--head-penalty", "0"},
             "dpo {} trained_part { kind: KIND_HEAD } head { penalty: 0 }");
  ExpectSpec({"--train", "all"}, "dpo {} trained_part { kind: KIND_ALL }");
  EXPECT_EQ(ErrorReason(Parse({"--head-penalty", "1"}).status()), "USAGE");
}

TEST(JobOptions, HelpShowsTheDefaultOfEveryObjective) {
  CLI::App app;
  JobOptions options;
  AddJobOptions(app, options);
  const std::string help = app.help();
  for (const char* text :
       {"strength of the preference, > 0 [dpo 1, ipo 0.01, kto 1.5]",
        "dpo, ipo, kto, ce, infonce",
        "[dpo yes, ipo yes, kto yes, ce no, infonce no]"}) {
    EXPECT_NE(help.find(text), std::string::npos) << help;
  }
}

TEST(DescribeObjective, SaysEveryOption) {
  v1::TrainSpec spec;
  EXPECT_EQ(DescribeObjective(spec), "unknown");
  spec.mutable_ipo()->set_beta(0.05);
  EXPECT_EQ(DescribeObjective(spec), "ipo, beta 0.05, kl-weight 0.01");
}

TEST(JobOptions, EpochsAndStepsExcludeEachOther) {
  EXPECT_THROW(Parse({"--epochs", "1", "--steps", "2"}).IgnoreError(),
               CLI::ParseError);
}

TEST(JobOptions, UnknownChoicesAndWrongNumbersAreRefused) {
  EXPECT_THROW(Parse({"--objective", "ppo"}).IgnoreError(), CLI::ParseError);
  EXPECT_THROW(Parse({"--optimizer", "sgd"}).IgnoreError(), CLI::ParseError);
  EXPECT_THROW(Parse({"--schedule", "step"}).IgnoreError(), CLI::ParseError);
  EXPECT_THROW(Parse({"--epochs", "1.5"}).IgnoreError(), CLI::ParseError);
  EXPECT_THROW(Parse({"--batch-size", "99999999999"}).IgnoreError(),
               CLI::ParseError);
}

}  // namespace
}  // namespace attune::client
