// The argument for what a network reads: an array, or for a network with images or a state a tuple of an array, Images
// and Sequences.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/arrays.hpp"
#include "image_rows.hpp"
#include "sequence_rows.hpp"

namespace trpo_fast::core {

// Throws what is wrong with the argument for a network with images or a state.
template <class T>
[[noreturn]] void refuse_inputs(const py::object& object, const char* name, Index size, std::size_t num_images,
                                Index state_size) {
  std::string got = py::str(py::type::of(object).attr("__name__"));
  if (py::isinstance<py::tuple>(object)) {
    got = "a tuple of";
    for (const py::handle part : py::reinterpret_borrow<py::tuple>(object)) {
      got += " " + py::str(py::type::handle_of(part).attr("__name__")).cast<std::string>();
    }
  }
  throw py::type_error(name + std::string(": expected a tuple of a ") +
                       py::str(py::dtype::of<T>()).cast<std::string>() + " array of shape " +
                       shape_name({kAnySize, size}) +
                       (num_images > 0 ? " and " + std::to_string(num_images) + " Images" : "") +
                       (state_size > 0 ? " and Sequences" : "") + ", got " + got);
}

// The last part of an argument, for a network with a state
template <class T>
Sequences<T> checked_sequences(const SequenceRows<T>& given, const char* name, Index num_rows, Index state_size) {
  const Sequences<T>& sequences = given.view();
  if (given.num_rows() != num_rows || sequences.state_size != state_size) {
    throw py::value_error(name + std::string(": expected Sequences of ") + std::to_string(num_rows) +
                          " rows with states of size " + std::to_string(state_size) + ", got " +
                          std::to_string(given.num_rows()) + " rows with states of size " +
                          std::to_string(sequences.state_size));
  }
  return sequences;
}

// Inputs without an owner of what they view: for a call that does not keep them.
template <class T>
Inputs<T> inputs_of_call(const py::object& object, const char* name, Index size, const std::vector<ImageInput>& images,
                         Index state_size) {
  if (images.empty() && state_size == 0) return {matrix_in<T>(object, name, kAnySize, size), {}, nullptr};
  const auto refuse = [&] { refuse_inputs<T>(object, name, size, images.size(), state_size); };
  if (!py::isinstance<py::tuple>(object)) refuse();
  const auto parts = py::reinterpret_borrow<py::tuple>(object);
  if (parts.size() != images.size() + (state_size > 0 ? 2 : 1)) refuse();
  Inputs<T> inputs{matrix_in<T>(parts[0], name, kAnySize, size), {}, nullptr};
  for (std::size_t i = 0; i < images.size(); ++i) {
    const py::object part = parts[i + 1];
    if (!py::isinstance<ImageRows>(part)) refuse();
    const Images rows = part.cast<const ImageRows&>().view();
    const Shape expected{inputs.x.rows, images[i].channels, images[i].height, images[i].width};
    const Shape got{rows.num_rows, rows.channels, rows.height, rows.width};
    if (!std::equal(expected.begin(), expected.end(), got.begin())) {
      throw py::value_error(name + std::string(": expected Images of shape ") + shape_name(expected) + ", got " +
                            shape_name(got));
    }
    inputs.images.push_back(rows);
  }
  if (state_size > 0) {
    const py::object part = parts[images.size() + 1];
    if (!py::isinstance<SequenceRows<T>>(part)) refuse();
    inputs.sequences = checked_sequences<T>(part.cast<const SequenceRows<T>&>(), name, inputs.x.rows, state_size);
  }
  return inputs;
}

// Inputs of an object that reads images and sequences later
template <class Scalar>
Inputs<Scalar> inputs_in(const py::object& object, const char* name, const Network<Scalar>& network) {
  Inputs<Scalar> inputs =
      inputs_of_call<Scalar>(object, name, network.input_size(), network.images(), network.state_size());
  if (py::isinstance<py::tuple>(object)) {
    inputs.owner = std::shared_ptr<const void>(new py::object(object), [](const py::object* owned) {
      const py::gil_scoped_acquire gil;
      delete owned;
    });
  }
  return inputs;
}

}  // namespace trpo_fast::core
