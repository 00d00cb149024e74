#include "arrays.hpp"
#include "bindings.hpp"
#include "core/area_resize.hpp"

namespace trpo_fast::core {
namespace {

// A length of the result: at least 1, and not longer than the image's.
Index checked_length(Index out, Index in, const char* name) {
  if (out < 1 || out > in) {
    throw py::value_error(name + std::string(": expected an integer in 1..") + std::to_string(in) + ", got " +
                          std::to_string(out));
  }
  return out;
}

}  // namespace

void bind_area_resize(py::module_& module) {
  py::class_<AreaResize>(module, "AreaResize", py::module_local(),
                         "Makes an image smaller: a pixel is the mean over its area, rounded to nearest")
      .def(py::init([](Index in_height, Index in_width, Index out_height, Index out_width) {
             checked_size(in_height, "in_height");
             checked_size(in_width, "in_width");
             if (in_height * in_width > max_resized_pixels()) {
               throw py::value_error("in_height: expected an image of at most " + std::to_string(max_resized_pixels()) +
                                     " pixels, got " + std::to_string(in_height * in_width));
             }
             return std::make_unique<AreaResize>(in_height, in_width,
                                                 checked_length(out_height, in_height, "out_height"),
                                                 checked_length(out_width, in_width, "out_width"));
           }),
           py::arg("in_height"), py::arg("in_width"), py::arg("out_height"), py::arg("out_width"))
      .def(
          "apply",
          [](const AreaResize& self, const py::object& first, const py::object& second, const py::object& out) {
            const auto one = matrix_in<std::uint8_t>(first, "first", self.in_height(), self.in_width());
            const auto two = matrix_in<std::uint8_t>(second, "second", self.in_height(), self.in_width());
            self.apply(one.data, two.data,
                       matrix_out<std::uint8_t>(out, "out", self.out_height(), self.out_width()).data);
          },
          py::arg("first"), py::arg("second"), py::arg("out"),
          "out = max(first, second), made smaller; all are uint8, and first and second may be the same array");
}

}  // namespace trpo_fast::core
