// NumPy arrays to views, without ever converting: a wrong type, dtype, shape or layout is an error that names the
// argument, what was expected and what came.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "trpo_fast/parallel/thread_pool.hpp"

namespace py = pybind11;

namespace trpo_fast::bindings {

constexpr Index kAnySize = -1;

inline std::string describe(const py::array& array) {
  return py::str(array.dtype()).cast<std::string>() + " array of shape " +
         py::str(array.attr("shape")).cast<std::string>();
}

template <class T>
std::string expectation(const std::string& shape) {
  return py::str(py::dtype::of<T>()).cast<std::string>() + " array of shape " + shape;
}

inline std::string size_name(Index size) { return size == kAnySize ? "N" : std::to_string(size); }

// The array behind an argument: exactly dtype T, C-contiguous, aligned.
template <class T>
py::array checked_array(const py::object& object, const std::string& name, const std::string& shape) {
  const std::string expected = name + ": expected a C-contiguous " + expectation<T>(shape) + ", got ";
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(expected + py::str(py::type::of(object).attr("__name__")).cast<std::string>());
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (!py::isinstance<py::array_t<T>>(object)) throw py::type_error(expected + describe(array));
  const bool contiguous = (array.flags() & py::array::c_style) != 0;
  const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
  if (!contiguous || !aligned) throw py::value_error(expected + "a strided or unaligned " + describe(array));
  return array;
}

template <class T>
py::array checked_matrix(const py::object& object, const std::string& name, Index rows, Index cols) {
  const std::string shape = "(" + size_name(rows) + ", " + size_name(cols) + ")";
  const py::array array = checked_array<T>(object, name, shape);
  const bool fits = array.ndim() == 2 && (rows == kAnySize || array.shape(0) == rows) &&
                    (cols == kAnySize || array.shape(1) == cols) && array.shape(0) > 0;
  if (!fits) throw py::value_error(name + ": expected " + expectation<T>(shape) + ", got " + describe(array));
  return array;
}

template <class T>
py::array checked_vector(const py::object& object, const std::string& name, Index size) {
  const std::string shape = "(" + size_name(size) + ",)";
  const py::array array = checked_array<T>(object, name, shape);
  const bool fits = array.ndim() == 1 && (size == kAnySize || array.shape(0) == size) && array.shape(0) > 0;
  if (!fits) throw py::value_error(name + ": expected " + expectation<T>(shape) + ", got " + describe(array));
  return array;
}

template <class T>
T* writeable_data(py::array& array, const std::string& name) {
  if (!array.writeable()) throw py::value_error(name + ": expected a writeable array, got a read-only one");
  return static_cast<T*>(array.mutable_data());
}

template <class T>
ConstMatrixView<T> matrix_in(const py::object& object, const std::string& name, Index rows, Index cols) {
  const py::array array = checked_matrix<T>(object, name, rows, cols);
  return {static_cast<const T*>(array.data()), array.shape(0), array.shape(1)};
}
template <class T>
MatrixView<T> matrix_out(const py::object& object, const std::string& name, Index rows, Index cols) {
  py::array array = checked_matrix<T>(object, name, rows, cols);
  return {writeable_data<T>(array, name), array.shape(0), array.shape(1)};
}
template <class T>
ConstVectorView<T> vector_in(const py::object& object, const std::string& name, Index size) {
  const py::array array = checked_vector<T>(object, name, size);
  return {static_cast<const T*>(array.data()), array.shape(0)};
}
template <class T>
VectorView<T> vector_out(const py::object& object, const std::string& name, Index size) {
  py::array array = checked_vector<T>(object, name, size);
  return {writeable_data<T>(array, name), array.shape(0)};
}

// A number that must be at least `least`.
template <class Number>
Number at_least(Number value, Number least, const std::string& name) {
  if (!(value >= least) || !std::isfinite(static_cast<double>(value))) {
    throw py::value_error(name + ": expected a finite number >= " + std::to_string(least) + ", got " +
                          std::to_string(value));
  }
  return value;
}

// A size: at least 1, and small enough that a product of two does not overflow.
inline Index checked_size(Index value, const std::string& name) {
  constexpr Index most = std::numeric_limits<std::int32_t>::max();
  if (value < 1 || value > most) {
    throw py::value_error(name + ": expected an integer in 1.." + std::to_string(most) + ", got " +
                          std::to_string(value));
  }
  return value;
}

// How many threads a call may use.
inline int checked_threads(int value) {
  if (value < 1 || value > kMaxThreads) {
    throw py::value_error("n_threads: expected an integer in 1.." + std::to_string(kMaxThreads) + ", got " +
                          std::to_string(value));
  }
  return value;
}

// Two parts that must fit together do: `what` of the argument `name` is `size`.
inline void expect_size(const std::string& name, const std::string& what, Index expected, Index got) {
  if (got != expected) {
    throw py::value_error(name + ": expected " + what + " " + std::to_string(expected) + ", got " +
                          std::to_string(got));
  }
}

// A list of parts without None in it.
template <class T>
void check_parts(const std::vector<std::shared_ptr<T>>& parts, const std::string& name) {
  for (const auto& part : parts) {
    if (part == nullptr) throw py::type_error(name + ": expected objects of this module, got None");
  }
}

}  // namespace trpo_fast::bindings
