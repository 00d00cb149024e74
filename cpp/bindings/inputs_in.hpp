// The argument for what a network reads: an array, or for a network with images a tuple of an array and Images.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/arrays.hpp"
#include "image_rows.hpp"

namespace trpo_fast::core {

// Throws what is wrong with the argument for a network with images.
template <class T>
[[noreturn]] void refuse_inputs(const py::object& object, const char* name, Index size, std::size_t num_images) {
  std::string got = py::str(py::type::of(object).attr("__name__"));
  if (py::isinstance<py::tuple>(object)) {
    got = "a tuple of";
    for (const py::handle part : py::reinterpret_borrow<py::tuple>(object)) {
      got += " " + py::str(py::type::handle_of(part).attr("__name__")).cast<std::string>();
    }
  }
  throw py::type_error(name + std::string(": expected a tuple of a ") +
                       py::str(py::dtype::of<T>()).cast<std::string>() + " array of shape " +
                       shape_name({kAnySize, size}) + " and " + std::to_string(num_images) + " Images, got " + got);
}

// Inputs without an owner of their images: for a call that does not keep them.
template <class T>
Inputs<T> inputs_of_call(const py::object& object, const char* name, Index size,
                         const std::vector<ImageInput>& images) {
  if (images.empty()) return {matrix_in<T>(object, name, kAnySize, size), {}, nullptr};
  if (!py::isinstance<py::tuple>(object)) refuse_inputs<T>(object, name, size, images.size());
  const auto parts = py::reinterpret_borrow<py::tuple>(object);
  if (parts.size() != images.size() + 1) refuse_inputs<T>(object, name, size, images.size());
  Inputs<T> inputs{matrix_in<T>(parts[0], name, kAnySize, size), {}, nullptr};
  for (std::size_t i = 0; i < images.size(); ++i) {
    const py::object part = parts[i + 1];
    if (!py::isinstance<ImageRows>(part)) refuse_inputs<T>(object, name, size, images.size());
    const Images rows = part.cast<const ImageRows&>().view();
    const Shape expected{inputs.x.rows, images[i].channels, images[i].height, images[i].width};
    const Shape got{rows.num_rows, rows.channels, rows.height, rows.width};
    if (!std::equal(expected.begin(), expected.end(), got.begin())) {
      throw py::value_error(name + std::string(": expected Images of shape ") + shape_name(expected) + ", got " +
                            shape_name(got));
    }
    inputs.images.push_back(rows);
  }
  return inputs;
}

// Inputs of an object that reads their images later
template <class Scalar>
Inputs<Scalar> inputs_in(const py::object& object, const char* name, const Network<Scalar>& network) {
  Inputs<Scalar> inputs = inputs_of_call<Scalar>(object, name, network.input_size(), network.images());
  if (!inputs.images.empty()) {
    inputs.owner = std::shared_ptr<const void>(new py::object(object), [](const py::object* owned) {
      const py::gil_scoped_acquire gil;
      delete owned;
    });
  }
  return inputs;
}

}  // namespace trpo_fast::core
