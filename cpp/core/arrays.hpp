// Arrays of the caller, as the interface of the kernels takes them: no Eigen, and nothing of Python.
#pragma once

#include <cstdint>

#include "trpo_fast/index.hpp"

namespace trpo_fast::core {

template <class T>
struct Vector {
  T* data;
  Index size;

  operator Vector<const T>() const { return {data, size}; }
};

// Row-major and contiguous
template <class T>
struct Matrix {
  T* data;
  Index rows;
  Index cols;

  operator Matrix<const T>() const { return {data, rows, cols}; }
};

}  // namespace trpo_fast::core
