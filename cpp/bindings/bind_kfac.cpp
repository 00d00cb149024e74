#include <pybind11/stl.h>

#include <memory>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/operators.hpp"
#include "policy_at.hpp"

namespace trpo_fast::core {

template <class Scalar>
void bind_kfac(py::module_& module) {
  using M = KFACPreconditioner<Scalar>;
  py::class_<M, LinearOperator>(module, "KFACPreconditioner", py::module_local(),
                                "M^-1 v, an approximation of (F + damping)^-1 v")
      .def(
          py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution, const py::object& theta,
                      const py::object& x, const py::object& actions, double damping, int n_threads) {
            const PolicyAt<Scalar> at(network, distribution, theta, x);
            const auto actions_in = matrix_in<Scalar>(actions, "actions", at.x.num_rows(), distribution.action_size());
            at_least(damping, 0.0, "damping");
            checked_threads(n_threads);
            const py::gil_scoped_release release;
            return std::make_unique<M>(network, distribution, at.theta, at.x, actions_in, damping, n_threads);
          }),
          py::arg("network"), py::arg("distribution"), py::arg("theta"), py::arg("x"), py::arg("actions"),
          py::arg("damping"), py::arg("n_threads"))
      .def_property_readonly("identity_layers", &M::identity_layers);
}

template void bind_kfac<float>(py::module_&);
template void bind_kfac<double>(py::module_&);

}  // namespace trpo_fast::core
