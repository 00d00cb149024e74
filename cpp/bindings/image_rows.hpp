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
    const auto given = checked_array<std::int32_t>(index, "index", {kAnySize, kAnySize});
    check_planes(given, "index", planes_.shape(0));
    // A copy, read-only: a number that changes after it was checked would be an address outside the planes.
    index_ = py::array(given.dtype(), {given.shape(0), given.shape(1)}, given.data());
    index_.attr("setflags")(false);
  }

  const py::array& planes() const { return planes_; }
  const py::array& index() const { return index_; }

  Images view() const {
    return {static_cast<const std::uint8_t*>(planes_.data()), planes_.shape(1), planes_.shape(2),
            static_cast<const std::int32_t*>(index_.data()),  index_.shape(0),  index_.shape(1)};
  }

 private:
  py::array planes_;
  py::array index_;
};

}  // namespace trpo_fast::core
