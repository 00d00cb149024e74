// The caller's arrays as Eigen's views: for the files that implement the interface.
#pragma once

#include <type_traits>

#include "arrays.hpp"
#include "trpo_fast/network/inputs.hpp"
#include "trpo_fast/types.hpp"

namespace trpo_fast::core {

template <class T>
using MatrixViewOf = std::conditional_t<std::is_const_v<T>, ConstMatrixView<std::remove_const_t<T>>, MatrixView<T>>;
template <class T>
using VectorViewOf = std::conditional_t<std::is_const_v<T>, ConstVectorView<std::remove_const_t<T>>, VectorView<T>>;

template <class T>
MatrixViewOf<T> view(Matrix<T> m) {
  return {m.data, m.rows, m.cols};
}
template <class T>
VectorViewOf<T> view(Vector<T> v) {
  return {v.data, v.size};
}
template <class T>
VectorViewOf<T> view(T* data, Index size) {
  return {data, size};
}
template <class Scalar>
trpo_fast::Inputs<Scalar> view(const Inputs<Scalar>& inputs) {
  return {view(inputs.x), inputs.sequences, inputs.images, inputs.owner};
}
template <class T>
auto panel(Matrix<T> m) {
  return trpo_fast::panel(view(m));
}

}  // namespace trpo_fast::core
