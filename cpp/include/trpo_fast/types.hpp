// Array types shared by every kernel. N rows (samples), K distribution parameters, A action columns, P parameters.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <type_traits>

#include "index.hpp"

namespace trpo_fast {

static_assert(std::is_same_v<Index, Eigen::Index>);

// Batches are row-major, one sample per row, so a block of rows is contiguous in memory.
template <class Scalar>
using RowMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

// Views never own memory and are passed by value.
template <class Scalar>
using MatrixView = Eigen::Map<RowMatrix<Scalar>>;
template <class Scalar>
using ConstMatrixView = Eigen::Map<const RowMatrix<Scalar>>;
template <class Scalar>
using VectorView = Eigen::Map<Vector<Scalar>>;
template <class Scalar>
using ConstVectorView = Eigen::Map<const Vector<Scalar>>;

// A read-only view of the same memory.
template <class Scalar>
ConstMatrixView<Scalar> view(MatrixView<Scalar> m) {
  return {m.data(), m.rows(), m.cols()};
}
template <class Scalar>
ConstMatrixView<Scalar> view(const RowMatrix<Scalar>& m) {
  return {m.data(), m.rows(), m.cols()};
}
template <class Scalar>
ConstVectorView<Scalar> view(const Vector<Scalar>& v) {
  return {v.data(), v.size()};
}

// Rows of a matrix at a constant stride: a block of a PaddedMatrix, or some of its columns.
template <class Scalar>
using Panel = Eigen::Map<RowMatrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <class Scalar>
using ConstPanel = Eigen::Map<const RowMatrix<Scalar>, Eigen::Unaligned, Eigen::OuterStride<>>;

template <class Scalar>
ConstPanel<Scalar> columns(ConstPanel<Scalar> m, Index first, Index count) {
  return {m.data() + first, m.rows(), count, Eigen::OuterStride<>(m.outerStride())};
}
template <class Scalar>
Panel<Scalar> columns(Panel<Scalar> m, Index first, Index count) {
  return {m.data() + first, m.rows(), count, Eigen::OuterStride<>(m.outerStride())};
}
template <class Scalar>
ConstPanel<Scalar> row_range(ConstPanel<Scalar> m, Index first, Index count) {
  return {m.data() + first * m.outerStride(), count, m.cols(), Eigen::OuterStride<>(m.outerStride())};
}
template <class Scalar>
Panel<Scalar> row_range(Panel<Scalar> m, Index first, Index count) {
  return {m.data() + first * m.outerStride(), count, m.cols(), Eigen::OuterStride<>(m.outerStride())};
}
template <class Scalar>
ConstPanel<Scalar> panel(ConstMatrixView<Scalar> m) {
  return {m.data(), m.rows(), m.cols(), Eigen::OuterStride<>(m.cols())};
}
template <class Scalar>
Panel<Scalar> panel(MatrixView<Scalar> m) {
  return {m.data(), m.rows(), m.cols(), Eigen::OuterStride<>(m.cols())};
}
template <class Scalar>
ConstPanel<Scalar> view(Panel<Scalar> m) {
  return {m.data(), m.rows(), m.cols(), Eigen::OuterStride<>(m.outerStride())};
}

}  // namespace trpo_fast
