// The published logits of 44 CLIP models on SCAM (arXiv 2504.04893): 1,162
// photos as they are, with a handwritten word and with a drawn one. What the
// objectives say of them equals plain double arithmetic, and the published
// accuracies come out.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"
#include "tests/test_util/shared_data.h"
#include "worker/objective/kl.h"
#include "worker/objective/objective.h"

namespace attune::objective {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int kModels = 44;
constexpr int64_t kPhotos = 1'162;
constexpr double kBeta = 0.1;
constexpr double kSmoothing = 0.05;
const char* const kVariants[] = {"NoSCAM", "SCAM", "SynthSCAM"};

// Logits of the object and of the attack's word.
using Logits = std::array<double, 2>;

struct Scam {
  // By model, variant and photo.
  std::map<std::string, std::map<std::string, std::vector<Logits>>> logits;
};

Scam Read() {
  const std::string folder = test::SharedDataDir() + "/scam/vlm_similarity_";
  std::ifstream data_file(folder + "data.bin", std::ios::binary);
  const std::string data(std::istreambuf_iterator<char>(data_file), {});
  uint32_t size[2];
  std::memcpy(size, data.data(), sizeof(size));
  EXPECT_EQ(size[0], 3 * kPhotos);
  EXPECT_EQ(size[1], 2u * kModels);
  EXPECT_EQ(data.size(), sizeof(size) + sizeof(float) * size[0] * size[1]);
  const auto at = [&](size_t row, size_t column) {
    float value;
    std::memcpy(
        &value,
        data.data() + sizeof(size) + sizeof(float) * (row * size[1] + column),
        sizeof(float));
    return static_cast<double>(value);
  };
  std::ifstream metadata_file(folder + "metadata.json");
  const auto columns = nlohmann::json::parse(metadata_file)["columns"]
                           .get<std::vector<std::string>>();
  std::ifstream index_file(folder + "index.json");
  const nlohmann::json photos = nlohmann::json::parse(index_file);
  const std::string suffix = "_object_similarities";
  Scam scam;
  for (size_t column = 0; column < columns.size(); ++column) {
    const size_t end = columns[column].find(suffix);
    if (end == std::string::npos) continue;
    const std::string model = columns[column].substr(0, end);
    const size_t attack = std::find(columns.begin(), columns.end(),
                                    model + "_attack_similarities") -
                          columns.begin();
    for (const char* variant : kVariants) {
      for (const auto& photo : photos) {
        const auto row = photo["variants"][variant]["row_index"].get<size_t>();
        scam.logits[model][variant].push_back(
            {at(row, column), at(row, attack)});
      }
    }
  }
  return scam;
}

at::Tensor ToTensor(const std::vector<Logits>& rows, at::ScalarType type) {
  return at::from_blob(const_cast<Logits*>(rows.data()),
                       {static_cast<int64_t>(rows.size()), 2}, at::kDouble)
      .to(type);
}

// log softmax of the two.
Logits LogPolicy(const Logits& logits) {
  const double most = std::max(logits[0], logits[1]);
  const double sum =
      most + std::log(std::exp(logits[0] - most) + std::exp(logits[1] - most));
  return {logits[0] - sum, logits[1] - sum};
}

double LogSigmoid(double x) {
  return x < 0 ? x - std::log1p(std::exp(x)) : -std::log1p(std::exp(-x));
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Figures {
  double dpo = 0, ipo = 0, kto = 0, accuracy = 0, kl = 0;
};

// Written from the formulas alone.
Figures Plain(const std::vector<Logits>& policy,
              const std::vector<Logits>& reference,
              const std::vector<Logits>& clean,
              const std::vector<Logits>& clean_reference) {
  Figures figures;
  for (size_t i = 0; i < clean.size(); ++i) {
    const Logits p = LogPolicy(clean_reference[i]), q = LogPolicy(clean[i]);
    for (int y : {0, 1}) figures.kl += std::exp(p[y]) * (p[y] - q[y]);
  }
  figures.kl /= static_cast<double>(clean.size());
  for (size_t i = 0; i < policy.size(); ++i) {
    const Logits p = LogPolicy(reference[i]), q = LogPolicy(policy[i]);
    const double a = q[0] - p[0], b = q[1] - p[1], h = a - b;
    figures.dpo -= (1 - kSmoothing) * LogSigmoid(kBeta * h) +
                   kSmoothing * LogSigmoid(-kBeta * h);
    figures.ipo += std::pow(h - 1 / (2 * kBeta), 2);
    figures.kto += (1 - Sigmoid(kBeta * (a - figures.kl)) + 1 -
                    Sigmoid(kBeta * (figures.kl - b))) /
                   2;
    figures.accuracy += policy[i][0] > policy[i][1];
  }
  const auto count = static_cast<double>(policy.size());
  for (double* sum :
       {&figures.dpo, &figures.ipo, &figures.kto, &figures.accuracy}) {
    *sum /= count;
  }
  return figures;
}

Figures Computed(const std::vector<Logits>& policy,
                 const std::vector<Logits>& reference,
                 const std::vector<Logits>& clean,
                 const std::vector<Logits>& clean_reference,
                 at::ScalarType type) {
  const auto make = [](const char* name, const ObjectiveValues& options) {
    return std::get<PairObjective>(MakeObjective(name, options).value());
  };
  const at::Tensor preferred =
      at::zeros({static_cast<int64_t>(policy.size())}, at::kLong);
  PairTerms terms =
      MakePairTerms(ToTensor(policy, type), ToTensor(reference, type),
                    preferred, preferred + 1);
  terms.z = Kl(ToTensor(clean, type), ToTensor(clean_reference, type)).mean();
  const auto mean = [](const at::Tensor& values) {
    return values.to(at::kDouble).mean().item<double>();
  };
  return {.dpo = mean(
              make("dpo", {{"beta", kBeta}, {"label_smoothing", kSmoothing}})
                  .loss(terms)),
          .ipo = mean(make("ipo", {{"beta", kBeta}}).loss(terms)),
          .kto = mean(make("kto", {{"beta", kBeta},
                                   {"desirable_weight", 1},
                                   {"undesirable_weight", 1}})
                          .loss(terms)),
          .accuracy = mean(terms.correct),
          .kl = terms.z.item<double>()};
}

void ExpectNear(const Figures& a, const Figures& b, double tolerance) {
  // Losses of SCAM reach thousands: relative above 1.
  const auto near = [&](double x, double y) {
    EXPECT_NEAR(x, y, tolerance * std::max(1.0, std::abs(y)));
  };
  near(a.dpo, b.dpo);
  near(a.ipo, b.ipo);
  near(a.kto, b.kto);
  near(a.kl, b.kl);
  EXPECT_NEAR(a.accuracy, b.accuracy, 1e-12);
}

// Each model is the policy, the one after it the reference.
TEST(Scam, LossesAndAccuraciesOfAllModelsEqualPlainDoubleArithmetic) {
  ATTUNE_SKIP_WITHOUT_SHARED_DATA();
  const Scam scam = Read();
  ASSERT_EQ(scam.logits.size(), size_t{kModels});
  for (auto policy = scam.logits.begin(); policy != scam.logits.end();
       ++policy) {
    const auto next = std::next(policy);
    const auto& reference =
        next == scam.logits.end() ? *scam.logits.begin() : *next;
    const auto& clean = policy->second.at("NoSCAM");
    const auto& clean_reference = reference.second.at("NoSCAM");
    double plain_clean = 0, computed_clean = 0;
    for (const char* variant : kVariants) {
      SCOPED_TRACE(policy->first + " " + variant);
      const auto& attacked = policy->second.at(variant);
      const auto& attacked_reference = reference.second.at(variant);
      ASSERT_EQ(attacked.size(), size_t{kPhotos});
      const Figures plain =
          Plain(attacked, attacked_reference, clean, clean_reference);
      const Figures computed = Computed(attacked, attacked_reference, clean,
                                        clean_reference, at::kDouble);
      ExpectNear(computed, plain, 1e-12);
      ExpectNear(Computed(attacked, attacked_reference, clean, clean_reference,
                          at::kFloat),
                 plain, 1e-5);
      if (variant == kVariants[0]) {
        plain_clean = plain.accuracy;
        computed_clean = computed.accuracy;
      }
      // The drop under attack.
      EXPECT_NEAR(computed_clean - computed.accuracy,
                  plain_clean - plain.accuracy, 1e-12);
    }
  }
}

TEST(Scam, ThePublishedAccuraciesComeOut) {
  ATTUNE_SKIP_WITHOUT_SHARED_DATA();
  const Scam scam = Read();
  const std::map<std::string, std::array<double, 3>> published = {
      {"RN50", {97.76, 36.66, 22.46}}, {"ViT-L-14-336", {99.23, 33.91, 26.51}}};
  for (const auto& [model, accuracies] : published) {
    for (int i = 0; i < 3; ++i) {
      const auto& logits = scam.logits.at(model).at(kVariants[i]);
      const Figures figures =
          Computed(logits, logits, logits, logits, at::kFloat);
      EXPECT_NEAR(100 * figures.accuracy, accuracies[i], 0.005)
          << model << " " << kVariants[i];
    }
  }
}

}  // namespace
}  // namespace attune::objective
