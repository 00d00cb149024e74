// Arrays of the caller, as the interface of the kernels takes them: no Eigen, and nothing of Python.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "trpo_fast/images.hpp"
#include "trpo_fast/index.hpp"
#include "trpo_fast/sequences.hpp"

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

// What a network reads, N rows.
template <class Scalar>
struct Inputs {
  Matrix<const Scalar> x;             // (N, input_size)
  std::vector<Images> images;         // one for each image of the network
  std::shared_ptr<const void> owner;  // of what images and sequences view
  Sequences<Scalar> sequences{};      // for a network with a state

  Index num_rows() const { return x.rows; }
};

}  // namespace trpo_fast::core
