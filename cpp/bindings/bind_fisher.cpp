#include <memory>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/operators.hpp"
#include "policy_at.hpp"

namespace trpo_fast::core {

template <class Scalar>
void bind_fisher(py::module_& module) {
  using F = FisherOperator<Scalar>;
  using E = EmpiricalFisherOperator<Scalar>;
  py::class_<F, LinearOperator>(module, "FisherOperator", py::module_local(), "F v = mean J^T M J v + damping v")
      .def(py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                       const py::object& theta, const py::object& x, double damping, int n_threads) {
             const PolicyAt<Scalar> at(network, distribution, theta, x);
             at_least(damping, 0.0, "damping");
             checked_threads(n_threads);
             const py::gil_scoped_release release;
             return std::make_unique<F>(network, distribution, at.theta, at.x, damping, n_threads);
           }),
           py::arg("network"), py::arg("distribution"), py::arg("theta"), py::arg("x"), py::arg("damping"),
           py::arg("n_threads"), py::keep_alive<1, 2>(), py::keep_alive<1, 3>())
      .def(py::init([](const PolicyObjective<Scalar>& objective, double damping, int n_threads) {
             at_least(damping, 0.0, "damping");
             checked_threads(n_threads);
             const py::gil_scoped_release release;
             return std::make_unique<F>(objective, damping, n_threads);
           }),
           py::arg("objective"), py::arg("damping"), py::arg("n_threads"), py::keep_alive<1, 2>());
  py::class_<E, LinearOperator>(
      module, "EmpiricalFisherOperator", py::module_local(),
      "F v + damping v, with the outer product of the score of each row's action in place of M")
      .def(
          py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution, const py::object& theta,
                      const py::object& x, const py::object& actions, double damping, int n_threads) {
            const PolicyAt<Scalar> at(network, distribution, theta, x);
            const auto actions_in = matrix_in<Scalar>(actions, "actions", at.x.num_rows(), distribution.action_size());
            at_least(damping, 0.0, "damping");
            checked_threads(n_threads);
            const py::gil_scoped_release release;
            return std::make_unique<E>(network, distribution, at.theta, at.x, actions_in, damping, n_threads);
          }),
          py::arg("network"), py::arg("distribution"), py::arg("theta"), py::arg("x"), py::arg("actions"),
          py::arg("damping"), py::arg("n_threads"), py::keep_alive<1, 2>(), py::keep_alive<1, 3>());
}

template void bind_fisher<float>(py::module_&);
template void bind_fisher<double>(py::module_&);

}  // namespace trpo_fast::core
