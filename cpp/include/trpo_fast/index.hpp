// Index: sizes and positions. The one type that interfaces without Eigen share with the kernels.
#pragma once

#include <cstddef>

namespace trpo_fast {

using Index = std::ptrdiff_t;  // Eigen::Index

}  // namespace trpo_fast
