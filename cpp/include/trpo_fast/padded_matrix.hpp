// PaddedMatrix: a row-major matrix whose rows begin on cache lines and end with padding, so that whole packets fit. A
// packet that begins within a row may be read past its end, after the last row, too.
#pragma once

#include "recycled_memory.hpp"
#include "types.hpp"

namespace trpo_fast {

// `size` rounded up to whole cache lines
template <class Scalar>
constexpr Index padded(Index size) {
  constexpr Index line = 64 / sizeof(Scalar);
  return (size + line - 1) / line * line;
}

template <class Scalar>
class PaddedMatrix {
 public:
  PaddedMatrix(Index rows, Index cols)
      : rows_(rows),
        cols_(cols),
        stride_(padded<Scalar>(cols)),
        memory_(stride_ > 0 ? static_cast<std::size_t>(rows * stride_) * sizeof(Scalar) + RecycledMemory::kAlignment
                            : 0) {}
  explicit PaddedMatrix(ConstMatrixView<Scalar> m) : PaddedMatrix(m.rows(), m.cols()) { panel(0, rows_) = m; }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

  Panel<Scalar> panel(Index first_row, Index count) {
    return {data() + first_row * stride_, count, cols_, Eigen::OuterStride<>(stride_)};
  }
  ConstPanel<Scalar> panel(Index first_row, Index count) const {
    return {data() + first_row * stride_, count, cols_, Eigen::OuterStride<>(stride_)};
  }

 private:
  Scalar* data() { return static_cast<Scalar*>(memory_.data()); }
  const Scalar* data() const { return static_cast<const Scalar*>(memory_.data()); }

  Index rows_;
  Index cols_;
  Index stride_;
  RecycledMemory memory_;
};

}  // namespace trpo_fast
