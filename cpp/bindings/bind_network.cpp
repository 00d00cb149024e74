#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/network.hpp"
#include "inputs_in.hpp"

namespace trpo_fast::core {

// An image's number of elements, each size at least 1
inline Index checked_image(Index height, Index width, Index channels) {
  checked_size(height, "height");
  checked_size(checked_size(width, "width") * height, "height * width");
  return checked_size(checked_size(channels, "channels") * height * width, "height * width * channels");
}

// Outputs of a convolution along an axis
inline Index checked_kernel(Index kernel, Index size, Index stride, Index padding) {
  checked_size(kernel, "kernel_size");
  if (kernel > size + 2 * padding) {
    throw py::value_error("kernel_size: expected at most " + std::to_string(size + 2 * padding) +
                          ", the image with its padding, got " + std::to_string(kernel));
  }
  return (size + 2 * padding - kernel) / stride + 1;
}

template <class Scalar>
std::shared_ptr<Conv2d<Scalar>> make_conv2d(Index height, Index width, Index channels, Index filters,
                                            const std::pair<Index, Index>& kernel_size, Index stride, Index padding,
                                            const std::string& activation) {
  checked_image(height, width, channels);
  checked_size(filters, "filters");
  checked_size(stride, "stride");
  if (padding != 0) checked_size(padding, "padding");
  const auto [kernel_height, kernel_width] = kernel_size;
  const Index rows = checked_kernel(kernel_height, height, stride, padding);
  const Index columns = checked_kernel(kernel_width, width, stride, padding);
  checked_image(rows, columns, filters);
  checked_size(checked_image(kernel_height, kernel_width, channels) * filters, "number of weights");
  return std::make_shared<Conv2d<Scalar>>(height, width, channels, filters, kernel_height, kernel_width, stride,
                                          padding, activation);
}

template <class Scalar>
std::shared_ptr<Columns<Scalar>> make_columns(Index input_size, Index first, Index count) {
  checked_size(input_size, "input_size");
  checked_size(count, "count");
  if (first < 0 || first > input_size - count) {
    throw py::value_error("first: expected an integer in 0.." + std::to_string(input_size - count) + ", got " +
                          std::to_string(first));
  }
  return std::make_shared<Columns<Scalar>>(input_size, first, count);
}

template <class Scalar>
std::shared_ptr<Gru<Scalar>> make_gru(Index input_size, Index output_size) {
  checked_size(input_size, "input_size");
  checked_size(output_size, "output_size");
  checked_size((std::max)(input_size, output_size) * output_size, "number of weights");
  return std::make_shared<Gru<Scalar>>(input_size, output_size);
}

template <class Scalar>
void bind_layers(py::module_& module) {
  using L = Layer<Scalar>;
  py::class_<L, std::shared_ptr<L>>(module, "Layer", py::module_local())
      .def_property_readonly("input_size", &L::input_size)
      .def_property_readonly("output_size", &L::output_size)
      .def_property_readonly("num_params", &L::num_params);
  py::class_<Dense<Scalar>, L, std::shared_ptr<Dense<Scalar>>>(module, "Dense", py::module_local(),
                                                               "y = activation(x W^T + b)")
      .def(py::init([](Index input_size, Index output_size, const std::string& activation) {
             return std::make_shared<Dense<Scalar>>(checked_size(input_size, "input_size"),
                                                    checked_size(output_size, "output_size"), activation);
           }),
           py::arg("input_size"), py::arg("output_size"), py::arg("activation"));
  py::class_<AppendLogStd<Scalar>, L, std::shared_ptr<AppendLogStd<Scalar>>>(
      module, "AppendLogStd", py::module_local(), "y = [x, log_std], a state-independent log standard deviation")
      .def(py::init([](Index size) { return std::make_shared<AppendLogStd<Scalar>>(checked_size(size, "size")); }),
           py::arg("size"));
  py::class_<ClampLogStd<Scalar>, L, std::shared_ptr<ClampLogStd<Scalar>>>(
      module, "ClampLogStd", py::module_local(), "y = [mean, clamp(log_std)] of x = [mean, log_std]")
      .def(py::init([](Index size) { return std::make_shared<ClampLogStd<Scalar>>(checked_size(size, "size")); }),
           py::arg("size"));
  py::class_<Conv2d<Scalar>, L, std::shared_ptr<Conv2d<Scalar>>>(
      module, "Conv2d", py::module_local(),
      "y = activation(conv(x)) on rows that are images (height, width, channels); theta is W (filters, channels, "
      "*kernel_size), then b (filters)")
      .def(py::init(&make_conv2d<Scalar>), py::arg("height"), py::arg("width"), py::arg("channels"), py::arg("filters"),
           py::arg("kernel_size"), py::arg("stride"), py::arg("padding"), py::arg("activation"));
  py::class_<Flatten<Scalar>, L, std::shared_ptr<Flatten<Scalar>>>(
      module, "Flatten", py::module_local(), "images (height, width, channels) in the order (channels, height, width)")
      .def(py::init([](Index height, Index width, Index channels) {
             checked_image(height, width, channels);
             return std::make_shared<Flatten<Scalar>>(height, width, channels);
           }),
           py::arg("height"), py::arg("width"), py::arg("channels"));
  py::class_<Columns<Scalar>, L, std::shared_ptr<Columns<Scalar>>>(module, "Columns", py::module_local(),
                                                                   "y = x[:, first : first + count]")
      .def(py::init(&make_columns<Scalar>), py::arg("input_size"), py::arg("first"), py::arg("count"));
  py::class_<Gru<Scalar>, L, std::shared_ptr<Gru<Scalar>>>(
      module, "Gru", py::module_local(),
      "Gated recurrent units, as PyTorch's; theta is W (3 output_size, input_size), U (3 output_size, output_size) and "
      "b\n"
      "(3 output_size), each in the order r, z, n, then the bias of n's product with the state (output_size)")
      .def(py::init(&make_gru<Scalar>), py::arg("input_size"), py::arg("output_size"));
}

template <class Scalar>
void bind_sequences(py::module_& module) {
  using S = SequenceRows<Scalar>;
  py::class_<S>(
      module, "Sequences", py::module_local(),
      "Which of N rows follow each other in time: N / length lanes of `length` rows. `lanes` of them are a block;\n"
      "row t * lanes + b of a block is step t of its lane b. The last block may have fewer lanes")
      .def(py::init<Index, Index, const py::object&, const py::object&, const py::object&>(), py::arg("lanes"),
           py::arg("length"), py::arg("starts"), py::arg("states"), py::arg("padding") = py::none(),
           "starts: (N,) uint8, not 0 where a row begins an episode; states: (N / length, state_size), before the\n"
           "first row of each lane; padding: (N,) uint8, not 0 where a row counts nowhere, or None. All are copied");
}

template <class Scalar>
void bind_linearization(py::module_& module) {
  using Lin = Linearization<Scalar>;
  py::class_<Lin>(module, "Linearization", py::module_local(), "A network at (theta, x): jvp and vjp")
      .def(py::init([](const Network<Scalar>& network, const py::object& theta, const py::object& x) {
             const auto theta_in = vector_in<Scalar>(theta, "theta", network.num_params());
             const auto x_in = inputs_in<Scalar>(x, "x", network);
             const py::gil_scoped_release release;
             return std::make_unique<Lin>(network, theta_in.data, x_in);
           }),
           py::arg("network"), py::arg("theta"), py::arg("x"), py::keep_alive<1, 2>())
      .def(
          "jvp",
          [](const Lin& self, const py::object& dtheta, const py::object& out) {
            const auto dtheta_in = vector_in<Scalar>(dtheta, "dtheta", self.num_params());
            auto dphi = matrix_out<Scalar>(out, "out", self.num_rows(), self.output_size());
            const py::gil_scoped_release release;
            self.jvp(dtheta_in.data, dphi);
          },
          py::arg("dtheta"), py::arg("out"), "out = J dtheta")
      .def(
          "vjp",
          [](const Lin& self, const py::object& phi_bar, const py::object& out) {
            const auto phi_bar_in = matrix_in<Scalar>(phi_bar, "phi_bar", self.num_rows(), self.output_size());
            auto theta_bar = vector_out<Scalar>(out, "out", self.num_params());
            const py::gil_scoped_release release;
            self.vjp(phi_bar_in, theta_bar.data);
          },
          py::arg("phi_bar"), py::arg("out"), "out = J^T phi_bar");
}

std::vector<ImageInput> checked_images(const std::vector<std::tuple<Index, Index, Index, double>>& images) {
  std::vector<ImageInput> checked;
  for (const auto& [height, width, channels, scale] : images) {
    checked_size(checked_size(height, "images") * checked_size(width, "images"), "images");
    checked_size(height * width * checked_size(channels, "images"), "images");
    if (!std::isfinite(scale)) throw py::value_error("images: expected a finite scale, got " + std::to_string(scale));
    checked.push_back({height, width, channels, scale});
  }
  return checked;
}

// Where the states after the last row of each lane are written
template <class Scalar>
Matrix<Scalar> last_states_out(const py::object& object, const Inputs<Scalar>& x) {
  const Sequences<Scalar>& sequences = x.sequences;
  if (sequences.lanes == 0)
    throw py::type_error("last_states: expected None for a network without a state, got an array");
  return matrix_out<Scalar>(object, "last_states", x.num_rows() / sequences.length, sequences.state_size);
}

template <class Scalar>
void bind_network(py::module_& module) {
  using Net = Network<Scalar>;
  bind_layers<Scalar>(module);
  bind_sequences<Scalar>(module);
  using L = std::shared_ptr<Layer<Scalar>>;
  py::class_<Net>(module, "Network", py::module_local(), "Layers over one flat theta")
      .def(py::init([](const std::vector<L>& layers, bool is_masked) {
             check_parts(layers, "layers");
             return std::make_unique<Net>(layers, is_masked);
           }),
           py::arg("layers"), py::arg("is_masked") = false,
           "A chain. is_masked: x has one more column for each output, 0 where the output becomes -Inf")
      .def(py::init([](const std::vector<std::pair<L, std::variant<Index, std::vector<Index>>>>& nodes, bool is_masked,
                       const std::vector<std::tuple<Index, Index, Index, double>>& images) {
             std::vector<std::pair<L, std::vector<Index>>> layers;
             for (const auto& [layer, read] : nodes) {
               check_part(layer, "layers");
               const auto* const one = std::get_if<Index>(&read);
               layers.emplace_back(layer, one != nullptr ? std::vector<Index>{*one} : std::get<1>(read));
             }
             return std::make_unique<Net>(layers, is_masked, checked_images(images));
           }),
           py::arg("layers"), py::arg("is_masked") = false, py::arg("images") = py::list(),
           "Pairs of a layer and the buffer that it reads, or a tuple of several that it reads side by side. Buffer 0 "
           "is\n"
           "the vector, 1..k are the k images (height, width, channels, scale), and 1 + k + j is the output of layer "
           "j.\n"
           "The last output is the network's")
      .def_property_readonly("input_size", &Net::input_size)
      .def_property_readonly("output_size", &Net::output_size)
      .def_property_readonly("num_params", &Net::num_params)
      .def_property_readonly("state_size", &Net::state_size)
      .def(
          "forward",
          [](const Net& self, const py::object& theta, const py::object& x, const py::object& out,
             const py::object& last_states) {
            const auto theta_in = vector_in<Scalar>(theta, "theta", self.num_params());
            const auto x_in = inputs_of_call<Scalar>(x, "x", self.input_size(), self.images(), self.state_size());
            const auto y = matrix_out<Scalar>(out, "out", x_in.num_rows(), self.output_size());
            Scalar* const states = last_states.is_none() ? nullptr : last_states_out(last_states, x_in).data;
            const py::gil_scoped_release release;
            self.forward(theta_in.data, x_in, y, states);
          },
          py::arg("theta"), py::arg("x"), py::arg("out"), py::arg("last_states") = py::none(),
          "out = f(x; theta); last_states = the state after the last row of each lane");
  bind_linearization<Scalar>(module);
}

template void bind_network<float>(py::module_&);
template void bind_network<double>(py::module_&);

}  // namespace trpo_fast::core
