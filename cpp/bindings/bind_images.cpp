#include "arrays.hpp"
#include "bindings.hpp"
#include "image_rows.hpp"
#include "trpo_fast/store_planes.hpp"

namespace trpo_fast::core {
namespace {

// The observations of n environments: each (channels, height, width) is contiguous, at any distance from the next.
py::array stacks_in(const py::object& pixels) {
  const Shape shape{kAnySize, kAnySize, kAnySize, kAnySize};
  if (is_array_of<std::uint8_t>(pixels)) {
    auto array = py::reinterpret_borrow<py::array>(pixels);
    if (has_shape(array, shape)) {
      Index stride = 1;  // that of contiguous memory, axis by axis
      Index axis = 3;
      for (; axis > 0 && (array.strides(axis) == stride || array.shape(axis) == 1); --axis) stride *= array.shape(axis);
      if (axis == 0) return array;
    }
  }
  refuse_array<std::uint8_t>(pixels, "pixels", shape);
}

Index store_planes_of(const py::object& pixels, const py::object& previous, const py::object& index,
                      const py::object& planes, Index used) {
  const py::array stacks = stacks_in(pixels);
  const Index n = stacks.shape(0), channels = stacks.shape(1);
  const py::array before = checked_array<std::int32_t>(previous, "previous", {n, channels});
  auto numbers = checked_array<std::int32_t>(index, "index", {n, channels});
  auto pool = checked_array<std::uint8_t>(planes, "planes", {kAnySize, stacks.shape(2), stacks.shape(3)});
  auto* const index_data = writeable_data<std::int32_t>(numbers, "index");
  auto* const planes_data = writeable_data<std::uint8_t>(pool, "planes");
  const Index most = (std::min)(pool.shape(0), Index(std::numeric_limits<std::int32_t>::max())) - n * channels;
  if (used < 0 || used > most) {
    throw py::value_error("used: expected a number of planes in 0.." + std::to_string((std::max)(most, Index(0))) +
                          " (room for " + std::to_string(n * channels) + " more), got " + std::to_string(used));
  }
  check_planes(before, "previous", used);
  return store_planes({static_cast<const std::uint8_t*>(stacks.data()), stacks.strides(0), n, channels,
                       stacks.shape(2) * stacks.shape(3)},
                      static_cast<const std::int32_t*>(before.data()), index_data, planes_data, used);
}

}  // namespace

void bind_images(py::module_& module) {
  py::class_<ImageRows>(module, "Images", py::module_local(),
                        "Rows of stacked planes: row n has the planes that index[n] names, -1 a plane of zeros")
      .def(py::init<const py::object&, const py::object&>(), py::arg("planes"), py::arg("index"),
           "planes: (M, H, W) uint8, not copied; index: (N, S) int32, copied")
      .def_property_readonly("planes", &ImageRows::planes)
      .def_property_readonly("index", &ImageRows::index);
  module.def(
      "store_planes", store_planes_of, py::arg("pixels"), py::arg("previous"), py::arg("index"), py::arg("planes"),
      py::arg("used"),
      "Store the observations of n environments, pixels (n, S, H, W): index = the number of each plane, and new\n"
      "planes are appended to the `used` ones in planes (M, H, W), which needs room for n * S more. Planes that\n"
      "the row of previous names, or that came earlier in the observation, are found again; zeros are -1, and\n"
      "so is every number of previous where an environment has no former observation. Returns used.");
}

}  // namespace trpo_fast::core
