#include <memory>

#include "arrays.hpp"
#include "bindings.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/objectives/objective.hpp"

namespace trpo_fast::bindings {

template <class Scalar>
void bind_fisher(py::module_& module) {
  using F = FisherOperator<Scalar>;
  py::class_<F, LinearOperator>(module, "FisherOperator", py::module_local(), "F v = mean J^T M J v + damping v")
      .def(py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                       const py::object& theta, const py::object& x, double damping, int n_threads) {
             expect_size("network", "output size", distribution.num_dist_params(), network.output_size());
             const auto theta_in = vector_in<Scalar>(theta, "theta", network.num_params());
             const auto x_in = matrix_in<Scalar>(x, "x", kAnySize, network.input_size());
             at_least(damping, 0.0, "damping");
             checked_threads(n_threads);
             const py::gil_scoped_release release;
             return std::make_unique<F>(
                 distribution, std::make_shared<const Linearization<Scalar>>(network, theta_in.data(), x_in, n_threads),
                 damping, n_threads);
           }),
           py::arg("network"), py::arg("distribution"), py::arg("theta"), py::arg("x"), py::arg("damping"),
           py::arg("n_threads"), py::keep_alive<1, 2>(), py::keep_alive<1, 3>())
      .def(py::init([](const PolicyObjective<Scalar>& objective, double damping, int n_threads) {
             at_least(damping, 0.0, "damping");
             checked_threads(n_threads);
             const py::gil_scoped_release release;
             return std::make_unique<F>(objective.distribution(), objective.linearization(), damping, n_threads);
           }),
           py::arg("objective"), py::arg("damping"), py::arg("n_threads"), py::keep_alive<1, 2>())
      .def(
          py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution, const py::object& theta,
                      const py::object& x, const py::object& actions, double damping, int n_threads) {
            expect_size("network", "output size", distribution.num_dist_params(), network.output_size());
            const auto theta_in = vector_in<Scalar>(theta, "theta", network.num_params());
            const auto x_in = matrix_in<Scalar>(x, "x", kAnySize, network.input_size());
            const auto actions_in = matrix_in<Scalar>(actions, "actions", x_in.rows(), distribution.action_size());
            at_least(damping, 0.0, "damping");
            checked_threads(n_threads);
            const py::gil_scoped_release release;
            const auto at = std::make_shared<const Linearization<Scalar>>(network, theta_in.data(), x_in, n_threads);
            return std::make_unique<F>(distribution, at, actions_in, damping, n_threads);
          }),
          py::arg("network"), py::arg("distribution"), py::arg("theta"), py::arg("x"), py::arg("actions"),
          py::arg("damping"), py::arg("n_threads"), py::keep_alive<1, 2>(), py::keep_alive<1, 3>(),
          "The empirical one: M = the outer product of the score of each row's action");
}

template void bind_fisher<float>(py::module_&);
template void bind_fisher<double>(py::module_&);

}  // namespace trpo_fast::bindings
