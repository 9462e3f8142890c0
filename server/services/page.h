#ifndef ATTUNE_SERVER_SERVICES_PAGE_H_
#define ATTUNE_SERVER_SERVICES_PAGE_H_

#include <cstddef>

namespace attune::services {

// Answers of unary calls stay below 4 MiB, however long the texts in them.
inline constexpr size_t kMaxPageBytes = size_t{3} << 20;

// Adds items to a page until it has `size` or kMaxPageBytes, at least one, and
// returns how many. `add` adds one and returns its message.
template <typename Items, typename Add>
size_t FillPage(const Items& items, int size, Add add) {
  size_t count = 0;
  size_t bytes = 0;
  for (const auto& item : items) {
    if (count == static_cast<size_t>(size) || bytes > kMaxPageBytes) break;
    bytes += add(item)->ByteSizeLong();
    ++count;
  }
  return count;
}

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_PAGE_H_
