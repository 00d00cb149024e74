// ImageRows: Images as a Python object, which keeps its arrays alive.
#pragma once

#include <algorithm>
#include <utility>

#include "arrays.hpp"
#include "trpo_fast/images.hpp"

namespace trpo_fast::core {

// Checks that plane numbers are in -1..num_planes - 1.
inline void check_planes(const py::array& index, const char* name, Index num_planes) {
  const auto* const first = static_cast<const std::int32_t*>(index.data());
  const auto [least, most] = std::minmax_element(first, first + index.size());
  if (*least < kZeroPlane || *most >= num_planes) {
    throw py::value_error(name + std::string(": expected plane numbers in -1..") + std::to_string(num_planes - 1) +
                          ", got " + std::to_string(*least) + ".." + std::to_string(*most));
  }
}

class ImageRows {
 public:
  ImageRows(const py::object& planes, const py::object& index)
      : planes_(checked_array<std::uint8_t>(planes, "planes", {kAnySize, kAnySize, kAnySize})) {
    // A copy of our own: a number that changes after it was checked would be an address outside the planes.
    const auto given = checked_array<std::int32_t>(index, "index", {kAnySize, kAnySize});
    index_ = py::array(given.dtype(), {given.shape(0), given.shape(1)}, given.data());
    check_planes(index_, "index", planes_.shape(0));
    view_ = {static_cast<const std::uint8_t*>(planes_.data()), planes_.shape(1), planes_.shape(2),
             static_cast<const std::int32_t*>(index_.data()),  index_.shape(0),  index_.shape(1)};
  }

  const py::array& planes() const { return planes_; }
  py::array index() const { return py::array(index_.dtype(), {index_.shape(0), index_.shape(1)}, index_.data()); }

  // Of the arrays as they were when they were checked: their shapes can be changed in Python.
  const Images& view() const { return view_; }

 private:
  py::array planes_;
  py::array index_;
  Images view_{};
};

}  // namespace trpo_fast::core
