#include "worker/model/upload.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <vector>

#include "gtest/gtest.h"

namespace attune::model {
namespace {

TEST(Upload, LeavesATensorWhereItIs) {
  const at::Tensor tensor = at::arange(6);
  EXPECT_EQ(Upload(tensor, at::kCPU).data_ptr(), tensor.data_ptr());
}

TEST(Upload, CopiesToAGpuWhatTheTensorHeldAtTheCall) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU that this build can use";
  // Work that the copies have to wait for.
  at::Tensor product = at::ones({2000, 2000}, at::kCUDA);
  for (int i = 0; i < 20; ++i) product = at::mm(product, product) / 2000;
  at::Tensor tensor = at::empty({1 << 20}, at::kLong);
  std::vector<at::Tensor> copies;
  for (int64_t value = 0; value < 5; ++value) {
    tensor.fill_(value);
    copies.push_back(Upload(tensor, product.device()));
  }
  for (int64_t value = 0; value < 5; ++value) {
    EXPECT_TRUE(copies[value].is_cuda());
    EXPECT_TRUE((copies[value] == value).all().item<bool>()) << value;
  }
}

TEST(Upload, TakesTensorsOfAnyStridesAndNone) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU that this build can use";
  const at::Tensor tensor = at::arange(12).view({3, 4}).t();
  EXPECT_TRUE(at::equal(Upload(tensor, at::kCUDA).to(at::kCPU), tensor));
  EXPECT_EQ(Upload(at::empty({0, 3}), at::kCUDA).sizes(),
            at::IntArrayRef({0, 3}));
}

}  // namespace
}  // namespace attune::model
