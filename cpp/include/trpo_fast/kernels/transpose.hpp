// Transposes of small matrices with rows at a stride.
#pragma once

#include <algorithm>

#include "panels.hpp"

namespace trpo_fast {

// b = a^T, (rows, cols)
template <class Scalar>
void transpose(const Scalar* a, Index a_stride, Scalar* b, Index b_stride, Index rows, Index cols) {
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i) b[i * b_stride + j] = a[j * a_stride + i];
  }
}

// reverse = the panels of W, (outputs, inputs), from those of [b; W^T], (1 + inputs, outputs)
template <class Scalar>
void transpose_panels(const Scalar* packed, Index inputs, Index outputs, Scalar* reverse) {
  for_each_panel<Scalar>(outputs, [&](auto from, Index first) {
    const Scalar* w = packed + first * (1 + inputs) + from.kWidth;  // (inputs, width): columns of W^T
    for_each_panel<Scalar>(inputs, [&](auto to, Index column) {
      transpose(w + column * from.kWidth, from.kWidth, reverse + column * outputs + first * to.kWidth, to.kWidth,
                std::min<Index>(from.kWidth, outputs - first), std::min<Index>(to.kWidth, inputs - column));
    });
  });
}

}  // namespace trpo_fast
