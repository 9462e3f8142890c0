#ifndef ATTUNE_TESTS_TEST_UTIL_SHARED_DATA_H_
#define ATTUNE_TESTS_TEST_UTIL_SHARED_DATA_H_

#include <string>

namespace attune::test {

// The folder with real pictures and golden values that some tests read:
// $ATTUNE_SHARED_DATA, else ../shared/data beside the checkout; "" where there
// is none, and then a test that needs it skips with that reason.
std::string SharedDataDir();

}  // namespace attune::test

#define ATTUNE_SKIP_WITHOUT_SHARED_DATA()                                    \
  if (attune::test::SharedDataDir().empty())                                 \
  GTEST_SKIP() << "the shared pictures and golden values are not here: set " \
                  "ATTUNE_SHARED_DATA"

#endif  // ATTUNE_TESTS_TEST_UTIL_SHARED_DATA_H_
