// Shapes of tensors and of boxes, with limits that leave no room for overflow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace trpo_fast::runtime::detail {

constexpr std::size_t kMaxDimensions = 32;
constexpr std::uint64_t kMaxSize = std::uint64_t{1}
                                   << 40;  // of a tensor, of a Box; of empty ones, of their other sizes

// The product of sizes; nothing if they are too many or too large.
inline std::optional<std::uint64_t> product(const std::vector<std::int64_t>& shape) {
  std::uint64_t of_others = 1;
  bool is_empty = false;
  for (const std::int64_t n : shape) {
    const auto size = static_cast<std::uint64_t>(n);
    is_empty |= size == 0;
    if (size > kMaxSize || of_others > kMaxSize / std::max<std::uint64_t>(size, 1)) return std::nullopt;
    of_others *= std::max<std::uint64_t>(size, 1);
  }
  if (shape.size() > kMaxDimensions) return std::nullopt;
  return is_empty ? 0 : of_others;
}

}  // namespace trpo_fast::runtime::detail
