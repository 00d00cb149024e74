// Transposes of small matrices with rows at a stride.
#pragma once

#include "../index.hpp"

namespace trpo_fast {

// b = a^T, (rows, cols)
template <class Scalar>
void transpose(const Scalar* a, Index a_stride, Scalar* b, Index b_stride, Index rows, Index cols) {
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i) b[i * b_stride + j] = a[j * a_stride + i];
  }
}

}  // namespace trpo_fast
