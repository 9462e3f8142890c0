#include "worker/model/torch_status.h"

#include <ATen/Functions.h>

#include "absl/status/statusor.h"
#include "common/error.h"
#include "gtest/gtest.h"

namespace attune::model {
namespace {

TEST(CatchTorchErrors, FailedAllocationIsOutOfMemory) {
  const auto status = CatchTorchErrors([]() -> absl::StatusOr<at::Tensor> {
                        return at::empty({int64_t{1} << 46});
                      }).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), "OUT_OF_MEMORY");
}

// As CUDA itself and its libraries say it, outside of LibTorch's allocator.
TEST(CatchTorchErrors, AGpusFailedAllocationIsOutOfMemoryWhoeverAsked) {
  for (const char* message :
       {"CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling "
        "`cublasCreate(handle)`"}) {
    const auto status = CatchTorchErrors([message]() -> absl::Status {
      TORCH_CHECK(false, message);
      return absl::OkStatus();
    });
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << message;
    EXPECT_EQ(ErrorReason(status), "OUT_OF_MEMORY") << message;
  }
}

TEST(CatchTorchErrors, OtherErrorIsInternalWithItsFirstLine) {
  const auto status = CatchTorchErrors([]() -> absl::Status {
    at::mm(at::zeros({2, 3}), at::zeros({2, 3}));
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(status), "TORCH_ERROR");
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
}

TEST(CatchTorchErrors, ResultPasses) {
  const auto result =
      CatchTorchErrors([]() -> absl::StatusOr<int> { return 3; });
  EXPECT_EQ(*result, 3);
}

}  // namespace
}  // namespace attune::model
