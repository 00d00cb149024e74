// Views of NumPy arrays, without conversions: a wrong type, dtype, shape or layout is an error that names the argument,
// what was expected and what was given.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/arrays.hpp"
#include "core/process.hpp"

namespace py = pybind11;

namespace trpo_fast::core {

constexpr Index kAnySize = -1;    // at least 1
constexpr Index kAnyOrNone = -2;  // any, also 0

using Shape = std::initializer_list<Index>;

inline std::string describe(const py::array& array) {
  return py::str(array.dtype()).cast<std::string>() + " array of shape " +
         py::str(array.attr("shape")).cast<std::string>();
}

inline std::string shape_name(Shape shape) {
  std::string name;
  for (const Index size : shape) name += (size < 0 ? "N" : std::to_string(size)) + ", ";
  name.erase(name.size() - (shape.size() == 1 ? 1 : 2));  // a tuple of one has a comma
  return "(" + name + ")";
}

// NumPy's dtype of T. It is set while the module is imported: at its first use, two threads may meet, of which one
// waits for the GIL and the other for the initialiser of a static variable.
template <class T>
inline PyObject* native_dtype = nullptr;

inline void prepare_arrays() {  // imports NumPy
  native_dtype<float> = py::dtype::of<float>().release().ptr();
  native_dtype<double> = py::dtype::of<double>().release().ptr();
  native_dtype<std::int64_t> = py::dtype::of<std::int64_t>().release().ptr();
  native_dtype<std::int32_t> = py::dtype::of<std::int32_t>().release().ptr();
  native_dtype<std::uint8_t> = py::dtype::of<std::uint8_t>().release().ptr();
}

template <class T>
bool is_array_of(const py::object& object) {
  if (!py::isinstance<py::array>(object)) return false;
  const bool same = py::reinterpret_borrow<py::array>(object).dtype().ptr() == native_dtype<T>;
  return same || py::isinstance<py::array_t<T>>(object);  // an equal dtype may be another object
}

inline bool is_plain(const py::array& array) {  // C-contiguous and aligned
  constexpr int plain = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (array.flags() & plain) == plain;
}

inline bool has_shape(const py::array& array, Shape shape) {
  const auto fits = [](Index expected, Index got) {
    return expected == kAnyOrNone || (expected == kAnySize ? got > 0 : got == expected);
  };
  return std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim(), fits);
}

// Throws what is wrong with an argument. Composing the text costs more than many a call, so it is done only here.
template <class T>
[[noreturn]] void refuse_array(const py::object& object, const char* name, Shape shape) {
  const std::string array_name =
      py::str(py::dtype::of<T>()).cast<std::string>() + " array of shape " + shape_name(shape);
  const std::string expected = name + std::string(": expected a C-contiguous ") + array_name + ", got ";
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(expected + py::str(py::type::of(object).attr("__name__")).cast<std::string>());
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (!is_array_of<T>(object)) throw py::type_error(expected + describe(array));
  if (!is_plain(array)) throw py::value_error(expected + "a strided or unaligned " + describe(array));
  throw py::value_error(name + std::string(": expected ") + array_name + ", got " + describe(array));
}

// The array of an argument: exactly dtype T, C-contiguous, aligned, of that shape and not empty.
template <class T>
py::array checked_array(const py::object& object, const char* name, Shape shape) {
  if (is_array_of<T>(object)) {
    auto array = py::reinterpret_borrow<py::array>(object);
    if (is_plain(array) && has_shape(array, shape)) return array;
  }
  refuse_array<T>(object, name, shape);
}

template <class T>
T* writeable_data(py::array& array, const char* name) {
  if (!array.writeable()) {
    throw py::value_error(name + std::string(": expected a writeable array, got a read-only one"));
  }
  return static_cast<T*>(array.mutable_data());
}

template <class T>
Matrix<const T> matrix_in(const py::object& object, const char* name, Index rows, Index cols) {
  const py::array array = checked_array<T>(object, name, {rows, cols});
  return {static_cast<const T*>(array.data()), array.shape(0), array.shape(1)};
}
template <class T>
Matrix<T> matrix_out(const py::object& object, const char* name, Index rows, Index cols) {
  py::array array = checked_array<T>(object, name, {rows, cols});
  return {writeable_data<T>(array, name), array.shape(0), array.shape(1)};
}
template <class T>
Vector<const T> vector_in(const py::object& object, const char* name, Index size) {
  const py::array array = checked_array<T>(object, name, {size});
  return {static_cast<const T*>(array.data()), array.shape(0)};
}
template <class T>
Vector<T> vector_out(const py::object& object, const char* name, Index size) {
  py::array array = checked_array<T>(object, name, {size});
  return {writeable_data<T>(array, name), array.shape(0)};
}

// A number that must be at least `least`.
template <class Number>
Number at_least(Number value, Number least, const char* name) {
  if (!(value >= least) || !std::isfinite(static_cast<double>(value))) {
    throw py::value_error(name + std::string(": expected a finite number >= ") + std::to_string(least) + ", got " +
                          std::to_string(value));
  }
  return value;
}

// A size: at least 1, and small enough that a product of two does not overflow.
inline Index checked_size(Index value, const char* name) {
  constexpr Index most = std::numeric_limits<std::int32_t>::max();
  if (value < 1 || value > most) {
    throw py::value_error(name + std::string(": expected an integer in 1..") + std::to_string(most) + ", got " +
                          std::to_string(value));
  }
  return value;
}

// A number of threads.
inline int checked_threads(int value) {
  if (value < 1 || value > max_threads()) {
    throw py::value_error("n_threads: expected an integer in 1.." + std::to_string(max_threads()) + ", got " +
                          std::to_string(value));
  }
  return value;
}

// Checks that two parts fit together: `what` of the argument `name` is `expected`.
inline void expect_size(const char* name, const char* what, Index expected, Index got) {
  if (got != expected) {
    throw py::value_error(name + std::string(": expected ") + what + " " + std::to_string(expected) + ", got " +
                          std::to_string(got));
  }
}

// Checks that a part is not None.
template <class T>
void check_part(const std::shared_ptr<T>& part, const char* name) {
  if (part == nullptr) throw py::type_error(name + std::string(": expected objects of this module, got None"));
}

// Checks that no part of a list is None.
template <class T>
void check_parts(const std::vector<std::shared_ptr<T>>& parts, const char* name) {
  for (const auto& part : parts) check_part(part, name);
}

}  // namespace trpo_fast::core
