#include <algorithm>
#include <memory>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/solvers.hpp"
#include "inputs_in.hpp"

namespace trpo_fast::core {
namespace {

Matrix<const std::int64_t> order_in(const py::object& order, Index n_rows) {
  const auto in = matrix_in<std::int64_t>(order, "order", kAnySize, n_rows);
  const auto [least, most] = std::minmax_element(in.data, in.data + in.rows * in.cols);
  if (*least < 0 || *most >= n_rows) {
    throw py::value_error("order: expected row numbers in 0.." + std::to_string(n_rows - 1) + ", got " +
                          std::to_string(*least) + ".." + std::to_string(*most));
  }
  return in;
}

}  // namespace

template <class Scalar>
void bind_value_fit(py::module_& module) {
  using Fit = ValueFit<Scalar>;
  py::class_<Fit>(module, "ValueFit", py::module_local(), "Epochs of minibatch Adam on the critic's squared error")
      .def(py::init([](const Network<Scalar>& network, const py::object& x, const py::object& targets,
                       const py::object& order, Index batch_size, double learning_rate, const py::object& theta,
                       const py::object& first_moment, const py::object& second_moment, std::int64_t n_steps) {
             expect_size("network", "output size", 1, network.output_size());
             expect_size("network", "state size", 0, network.state_size());
             const auto x_in = inputs_in<Scalar>(x, "x", network);
             const auto targets_in = vector_in<Scalar>(targets, "targets", x_in.num_rows()).data;
             const auto order_view = order_in(order, x_in.num_rows());
             at_least<Index>(batch_size, 1, "batch_size");
             at_least(learning_rate, 0.0, "learning_rate");
             at_least<std::int64_t>(n_steps, 0, "n_steps");
             const Index size = network.num_params();
             return std::make_unique<Fit>(network, x_in, targets_in, order_view, batch_size, learning_rate,
                                          vector_in<Scalar>(theta, "theta", size).data,
                                          vector_in<Scalar>(first_moment, "first_moment", size).data,
                                          vector_in<Scalar>(second_moment, "second_moment", size).data, n_steps);
           }),
           py::arg("network"), py::arg("x"), py::arg("targets"), py::arg("order"), py::arg("batch_size"),
           py::arg("learning_rate"), py::arg("theta"), py::arg("first_moment"), py::arg("second_moment"),
           py::arg("n_steps"), py::keep_alive<1, 2>())
      .def("start", &Fit::start, "Let another thread start the fit, if one is available")
      .def("finish", &Fit::finish, py::call_guard<py::gil_scoped_release>(),
           "Wait for the fit; execute it here if no other thread has started it")
      .def(
          "read",
          [](const Fit& self, const py::object& theta, const py::object& first_moment,
             const py::object& second_moment) {
            const Index size = self.num_params();
            self.read(vector_out<Scalar>(theta, "theta", size), vector_out<Scalar>(first_moment, "first_moment", size),
                      vector_out<Scalar>(second_moment, "second_moment", size));
            return py::make_tuple(self.loss(), self.n_steps(), self.finite());
          },
          py::arg("theta"), py::arg("first_moment"), py::arg("second_moment"),
          "Write the state of Adam, after finish(); returns (loss, n_steps, finite)");
}

template void bind_value_fit<float>(py::module_&);
template void bind_value_fit<double>(py::module_&);

}  // namespace trpo_fast::core
