#ifndef ATTUNE_TESTS_TEST_UTIL_LONG_FORM_H_
#define ATTUNE_TESTS_TEST_UTIL_LONG_FORM_H_

#include <cstdlib>

namespace attune::test {

// How often a test repeats what it tries at random: `long_form` times where
// ATTUNE_LONG_TESTS is set (tests/run.sh --long), else `short_form` times.
inline int Rounds(int short_form, int long_form) {
  return std::getenv("ATTUNE_LONG_TESTS") != nullptr ? long_form : short_form;
}

}  // namespace attune::test

#endif  // ATTUNE_TESTS_TEST_UTIL_LONG_FORM_H_
